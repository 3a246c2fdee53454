"""From counters to answers: whether an Envoy has taken a writing, refused it, or not looked at it yet.

Envoy tells no version with a rejection. But it reads every writing once and counts it, so when as many are handled
as were written and the last is not in use, then the last was refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fairlead.routing.publish.admin import Sample
from fairlead.routing.publish.phases import Heard, Refusal
from fairlead.routing.publish.resource_sets import KINDS, Kind, Written

PATIENCE_S = 1.0
"""How long a writing may be unused while rejections grow, where counting writings is not possible: after a restart."""


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The counters when the gateway last agreed with what was published, and how much was written since."""

    connection: int = 0
    handled: int = 0
    refused: int = 0
    writings: int = 0
    waiting_since: float | None = None


class Ear:
    """Remembers, per kind, since when the gateway has been behind. `reason` finds words for a rejection.

    `kept_asking` is for a gateway that asks for its configuration: what it refused before it was first heard was an
    answer of the past. A file that was refused then is still there, and still refused.
    """

    def __init__(self, name: str, reason: Callable[[], str | None], *, kept_asking: bool = False) -> None:
        self._name = name
        self._reason = reason
        self._kept_asking = kept_asking
        self._baselines: dict[Kind, _Baseline] = dict.fromkeys(KINDS, _Baseline())

    def wrote(self, kind: Kind) -> None:
        """To be told of every writing."""
        before = self._baselines[kind]
        self._baselines[kind] = replace(before, writings=before.writings + 1, waiting_since=None)

    def hear(self, sample: Sample | None, published: Mapping[Kind, Written], now: float) -> Heard:
        """What the sample means, given what is published."""
        if sample is None:
            return Heard(self._name, reachable=False)
        refused = {
            kind: Refusal(written.version, self._reason() or "its log says why")
            for kind, written in published.items()
            if self._refuses(kind, written, sample, now)
        }
        return Heard(self._name, True, sample.versions, refused, sample.warming)

    def _refuses(self, kind: Kind, written: Written, sample: Sample, now: float) -> bool:
        if sample.versions.get(kind) == written.version:
            self._baselines[kind] = _Baseline(sample.connection, sample.handled[kind], sample.refused[kind])
            return False
        before = self._baselines[kind]
        if before.waiting_since is None:
            before = replace(before, waiting_since=now)
        if self._starts_anew(before, kind, sample):
            handled, refused = self._where_it_starts(before, kind, sample)
            writings = before.writings if self._kept_asking else 0
            before = replace(before, connection=sample.connection, handled=handled, refused=refused, writings=writings)
        self._baselines[kind] = before
        if sample.refused[kind] <= before.refused:
            return False
        counted = 0 < before.writings <= sample.handled[kind] - before.handled
        return counted or now - (before.waiting_since or now) >= PATIENCE_S

    def _starts_anew(self, before: _Baseline, kind: Kind, sample: Sample) -> bool:
        if self._kept_asking and before.connection:
            # A new connection alone may be the same process, whose refusal of a moment ago still counts.
            return sample.handled[kind] < before.handled or sample.refused[kind] < before.refused
        return before.connection != sample.connection

    def _where_it_starts(self, before: _Baseline, kind: Kind, sample: Sample) -> tuple[int, int]:
        if self._kept_asking and not before.connection and kind in sample.versions:
            return sample.handled[kind], sample.refused[kind]
        return 0, 0
