"""Joins live answers with answers to the mirrored requests, on the request id that the gateway made. Pure.

Each live answer is paired at most once with each version's mirrored answer, in any order of arrival. An id that arrives
again changes nothing. All memory is bounded: the oldest answers without a partner are dropped. A pair that was missed
is no evidence, for or against.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fairlead.contracts.answers import Disagreement, Kind, Pairs, VersionAnswer, is_same_label
from fairlead.contracts.route import VersionRef
from fairlead.rollout.ports import Answer

MAX_WAITING = 32_768
"""Request ids of one route that are kept at most."""
MAX_WORST = 20
_RANK: Mapping[Kind, int] = {"class": 0, "failed": 1, "schema": 2, "score": 3}
_FIELD: Mapping[Kind, str] = {
    "class": "class_changed",
    "failed": "failed",
    "schema": "schema_mismatch",
    "score": "score_moved",
}

Versions = tuple[VersionRef, VersionRef]
"""The version that answered users, and the version that answered the mirrored requests."""


def differs(live: Answer, shadow: Answer, tolerance: float) -> Kind | None:
    """How a mirrored answer disagrees with a good live answer, or None if it agrees."""
    if shadow.status != 200:
        return "failed"
    if any(shadow.fields.get(name) != kind for name, kind in live.fields.items()):
        return "schema"  # an additional field breaks no client
    if not is_same_label(live.label, shadow.label):
        return "class"
    if live.score is None or shadow.score is None:
        return None if live.score is shadow.score else "score"
    return "score" if abs(live.score - shadow.score) > tolerance else None


@dataclass
class _Waiting:
    """One id: its live answer, mirrored answers that arrived before it, and the versions that were paired."""

    live: Answer | None = None
    mirrored: dict[VersionRef, Answer] = field(default_factory=dict)
    paired: set[VersionRef] = field(default_factory=set)


_CLOSED = _Waiting()
"""The entry of every id that is never paired again."""


class Joiner:
    """Pairs answers of one route. Not for several threads at once."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self.worst: tuple[Disagreement, ...] = ()
        """The worst disagreements, the worst first."""

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, answers: Iterable[Answer], tolerance: float) -> dict[Versions, Pairs]:
        """The pairs that these answers complete, by versions."""
        found: dict[Versions, Pairs] = {}
        for answer in answers:
            for live, shadow in self._complete(answer):
                kind = differs(live, shadow, tolerance)
                more = Pairs(n=1, **({_FIELD[kind]: 1} if kind else {}))
                versions = (live.ref, shadow.ref)
                found[versions] = found.get(versions, Pairs()).plus(more)
                if kind:
                    self._add_worst(kind, live, shadow)
        return found

    def close(self) -> None:
        """Never pair an id again that arrived up to now: this engine or another may have counted it.

        The ids are kept, so that one that arrives again is not paired a second time.
        """
        self._waiting = OrderedDict.fromkeys(self._waiting, _CLOSED)

    def _complete(self, answer: Answer) -> list[tuple[Answer, Answer]]:
        one = self._waiting.get(answer.request_id)
        if one is None:
            one = self._waiting[answer.request_id] = _Waiting()
            if len(self._waiting) > self._max_waiting:
                self._waiting.popitem(last=False)
        if one is _CLOSED:
            return []
        if answer.shadow:
            if answer.ref in one.paired or answer.ref in one.mirrored:
                return []
            one.mirrored[answer.ref] = answer
        elif one.live is None and answer.status == 200:
            one.live = answer
        # A failed live answer is not used: the gateway may have retried, and there is nothing to compare with.
        if one.live is None:
            return []
        ready = [(one.live, shadow) for shadow in one.mirrored.values()]
        one.paired.update(one.mirrored)
        one.mirrored.clear()
        return ready

    def _add_worst(self, kind: Kind, live: Answer, shadow: Answer) -> None:
        disagreement = Disagreement(request_id=live.request_id, kind=kind, live=_summary(live), shadow=_summary(shadow))
        self.worst = tuple(sorted((*self.worst, disagreement), key=_severity)[:MAX_WORST])


def _summary(answer: Answer) -> VersionAnswer:
    return VersionAnswer(version=answer.ref, status=answer.status, label=answer.label, score=answer.score)


def _severity(one: Disagreement) -> tuple[int, float, str]:
    """The sort key: class changes first, the highest score first; score changes by their size."""
    live, shadow = one.live.score or 0.0, one.shadow.score or 0.0
    weight = abs(live - shadow) if one.kind == "score" else max(live, shadow)
    return _RANK[one.kind], -weight, one.request_id
