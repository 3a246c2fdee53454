"""Why a version has no ready instance: the words of its instances, and whether they have failed for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts.instance import CANNOT_BE_CREATED, CANNOT_BE_SERVED, Instance
from fairlead.contracts.route import VersionRef

MAX_WHY = 300
"""Characters of an instance's reason that are shown: the message of a model's exception may have any length."""


@dataclass(frozen=True, slots=True)
class Unready:
    """Why a version has no ready instance, and whether all its instances have failed for good."""

    why: str
    for_good: bool = False

    def cannot_be_loaded(self, model: str, ref: VersionRef) -> str:
        """The sentence for a version whose instances have all failed for good, with the command that shows more."""
        return f"{ref} cannot be loaded: {self.why} (fairlead logs {model} --version {ref.version})"


def unready_versions(instances: Iterable[Instance], since: datetime | None) -> dict[VersionRef, Unready]:
    """The versions of one model without a ready instance. A failure before `since` does not count: it may be over."""
    found: dict[VersionRef, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.ref, []).append(instance)
    return {ref: _unready(mine, since) for ref, mine in found.items() if not any(one.ready for one in mine)}


def missing_instances(instances: Iterable[Instance]) -> dict[VersionRef, str]:
    """The versions whose further instances cannot be created, and why."""
    return {one.ref: _short(one.reason) for one in instances if one.reason.startswith(CANNOT_BE_CREATED)}


def _short(told: str) -> str:
    why = " ".join(told.removeprefix(CANNOT_BE_SERVED).split())
    return why if len(why) <= MAX_WHY else f"{why[:MAX_WHY]}..."


def _unready(instances: Sequence[Instance], since: datetime | None) -> Unready:
    # One that cannot be created says less than those that are there.
    instances = [one for one in instances if not one.reason.startswith(CANNOT_BE_CREATED)] or instances
    failed = [one for one in instances if one.failed_at is not None and (since is None or one.failed_at >= since)]
    told = next((one.reason for one in (*failed, *instances) if one.reason), "")
    return Unready(_short(told), for_good=len(failed) == len(instances))
