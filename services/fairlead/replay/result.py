"""What a replay has found. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairlead.calibration.points import percentile
from fairlead.optimization import verdict
from fairlead.optimization.answers import Compared, Failed


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of requests, in milliseconds; NaN if none was answered."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class OfRevision:
    """The rows that were answered by one revision of the route, and how many of them are answered alike now."""

    revision: str
    rows: int
    agreeing: int


@dataclass(frozen=True, slots=True)
class Result:
    """The comparison of a replay. `original` is who gave the answers that the new ones are compared with."""

    model: str
    original: str
    candidate: str
    requests: int
    hidden: Sequence[str]
    """Fields that the recording does not have, and that were not filled in."""
    unreadable: int
    """Lines of the recording that are no request."""
    tolerance: float
    min_agreement: float
    compared: Compared
    original_latency: Latency
    candidate_latency: Latency

    @property
    def by_revision(self) -> Sequence[OfRevision]:
        """The rows of each revision of the route that answered first, those that agree least before others.

        None of a recording without revisions, and none if other answers than the recorded ones are compared.
        """
        rows, agreeing = Counter[str](), Counter[str]()
        for one in self.compared.differences:
            if one.asked.revision:
                rows[one.asked.revision] += 1
                agreeing[one.asked.revision] += one.agrees
        found = [OfRevision(name, count, agreeing[name]) for name, count in rows.items()]
        return sorted(found, key=lambda one: (one.agreeing / one.rows, -one.rows, one.revision))

    @property
    def is_unanswered(self) -> bool:
        """Whether no request of those that are compared was answered now."""
        return all(isinstance(one.asked.candidate, Failed) for one in self.compared.differences)

    @property
    def reason(self) -> str:
        """Why the agreement is not enough; empty if it is."""
        found = self.compared
        if not found.differences:
            return "no row of the recording has an answer to compare with, so nothing shows that the answers agree"
        if found.agreement >= self.min_agreement:
            return ""
        agreeing, rows = sum(one.agrees for one in found.differences), len(found.differences)
        return (
            f"{agreeing} of {rows} rows agree ({found.agreement:.4g}; wanted {self.min_agreement:g}): "
            f"{verdict.told(found.worst(1)[0])}"
        )

    def to_json(self) -> dict[str, Any]:
        """One document. What was not measured is null."""
        return {
            "model": self.model,
            "original": self.original,
            "candidate": self.candidate,
            "requests": self.requests,
            "hidden": [*self.hidden],
            "unreadable_lines": self.unreadable,
            "tolerance": self.tolerance,
            "min_agreement": self.min_agreement,
            "agrees": not self.reason,
            "reason": self.reason,
            "revisions": [asdict(one) for one in self.by_revision],
            "agreement": verdict.agreement_json(self.compared),
            "latency": {"original": _finite(self.original_latency), "candidate": _finite(self.candidate_latency)},
        }


def latency(seconds: Sequence[float]) -> Latency:
    """The percentiles of these requests."""
    if not seconds:
        return Latency(math.nan, math.nan)
    return Latency(*(1000 * percentile(seconds, share) for share in (0.5, 0.95)))


def _finite(one: Latency) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(one).items()}
