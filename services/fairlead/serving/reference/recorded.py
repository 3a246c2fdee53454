"""The rows of recorded requests, for a baseline of a model that has no held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import recording
from fairlead.contracts.recording import Recorded
from fairlead.serving.formats import field_kinds
from fairlead.serving.formats.folder import ModelFolder

MOST_ROWS = 100_000
"""Evenly spaced rows of more."""


def rows_of(place: Path, folder: ModelFolder, first_s: float | None = None) -> list[dict[str, Any]]:
    """The rows that clients have sent to the model, in the order of time: of the first `first_s` seconds, or all.

    A request that was tried at two versions counts once. Raises NotFound if there is none, and Invalid if the recording
    hides a field of rows: the model cannot be asked for its answers to them.
    """
    name = folder.manifest.name
    once = {one.id: one for one in recording.read(place).requests if one.model == name and not one.mirrored}
    found = sorted(once.values(), key=lambda one: one.time)
    if not found:
        raise errors.NotFound(f"{place} has no request of {name}", hint="Record some first: docs/recording.md.")
    if first_s is not None:
        began = found[0].time
        found = [one for one in found if (one.time - began).total_seconds() <= first_s]
    _check_whole(found, folder, place)
    rows = [row for one in found for row in one.rows]
    return rows if len(rows) <= MOST_ROWS else [rows[at * len(rows) // MOST_ROWS] for at in range(MOST_ROWS)]


def _check_whole(found: Sequence[Recorded], folder: ModelFolder, place: Path) -> None:
    hidden = {name: how for one in found for name, how in one.hidden.items()}
    names = {field_kinds.sent_name(name, field) for name, field in folder.row_type.model_fields.items()}
    if missing := sorted(hidden.keys() & names):
        raise errors.Invalid(
            f"{place} has no values of {', '.join(missing)} ({hidden[missing[0]]}), so the model cannot be asked",
            hint="Build the profile from held-out rows: --data FILE. Until then drift is not measured.",
        )
