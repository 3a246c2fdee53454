"""What a calibration has found, and its form in JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.calibration import advice
from fairlead.calibration.advice import Curve, Recommendation

MEASURED = {"max_rows", "max_wait_ms"}
"""What of `batching` a calibration compares."""


@dataclass(frozen=True, slots=True)
class Result:
    """A model version, how its service ran, and a curve for each setting of batching. The first is the manifest's."""

    model: str
    version: str
    rows_per_request: int
    threads: int
    workers: int
    cpus: int
    curves: Sequence[Curve]

    @property
    def recommended(self) -> Recommendation | None:
        """The setting that is recommended; None if no number is sure."""
        return advice.recommend(self.curves)

    def to_json(self) -> dict[str, Any]:
        """One document; times are in seconds, rates per second, memory in bytes."""
        best = self.recommended
        return {
            "model": self.model,
            "version": self.version,
            "rows_per_request": self.rows_per_request,
            "threads": self.threads,
            "workers": self.workers,
            "cpus": self.cpus,
            "recommended": None
            if best is None
            else {
                "batching": best.curve.batching.model_dump(include=MEASURED),
                "target_in_flight": best.target_in_flight,
            },
            "curves": [self._curve(one) for one in self.curves],
        }

    def _curve(self, one: Curve) -> dict[str, Any]:
        found = one.knee
        return {
            "batching": one.batching.model_dump(include=MEASURED),
            "batching_reason": one.reason,
            "alone_s": one.alone_s,
            "goal_p95_s": one.goal_s,
            "knee": None
            if found is None
            else {
                "requests_per_s": found.rate,
                "rows_per_s": found.rate * self.rows_per_request,
                "spread": found.spread,
                "met_at": found.met.rate,
                "missed_at": found.missed.rate,
                "in_flight": advice.in_flight_at(found),
                "cpu_per_row_s": found.met.cpu_per_request_s / self.rows_per_request,
                "memory_bytes": found.met.memory_bytes,
            },
            "sure": one.is_sure,
            "why_unsure": one.why_unsure,
            "points": [
                {**dataclasses.asdict(point), "failed": dict(point.failed), "in_flight": point.in_flight}
                for point in sorted(one.points, key=lambda point: point.rate)
            ],
        }
