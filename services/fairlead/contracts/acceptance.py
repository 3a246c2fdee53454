"""The annotation that accepts breaking types: a version, after which revision, by whom and why.

As text: `VERSION [after REVISION] [by PERSON] [because REASON]`. Only the version is needed. A text counts for one
attempt. Who accepts the same version for a later attempt writes another text, such as one with a later revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fairlead.contracts.labels import ACCEPT_BREAKING


class Acceptance(NamedTuple):
    """What the annotation of a route says. `text` is the whole of it."""

    text: str
    version: str
    actor: str
    reason: str


def acceptance_of(annotations: Mapping[str, str]) -> Acceptance:
    """The acceptance that a route has; its fields are empty where it has none, or names no person or no reason."""
    text = annotations.get(ACCEPT_BREAKING, "").strip()
    who, _, reason = text.partition(" because ")
    what, _, actor = who.partition(" by ")
    return Acceptance(text, what.partition(" after ")[0], actor, reason)


def acceptance_text(version: str, revision: str, *, actor: str = "", reason: str = "") -> str:
    """The annotation's value. `revision` is the id of the head; empty where nothing serves yet."""
    parts = (version, revision and f"after {revision}", actor and f"by {actor}", reason and f"because {reason}")
    return " ".join(filter(None, parts))
