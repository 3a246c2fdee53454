"""From what services counted between two readings to what a window keeps of it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fairlead.contracts.service_totals import ERROR_BOUNDS
from fairlead.contracts.window import Counts, Measured
from fairlead.rollout.ports import Increase

USUALLY_IDLE = 0.005
"""The CPU seconds that a service uses in a second without any row, until it was idle for KNOWN_S. Measured: 0.002."""
KNOWN_S = 3.0


@dataclass(frozen=True, slots=True)
class Idle:
    """How long a version's services were idle, and the CPU seconds that they used meanwhile."""

    cpu_s: float = 0.0
    seconds: float = 0.0

    def plus(self, increase: Increase) -> Idle:
        """With another reading."""
        return Idle(self.cpu_s + increase.idle_cpu_s, self.seconds + increase.idle_s)

    def without(self, found: Measured) -> Measured:
        """What was measured, with the CPU seconds that the services would have used anyway."""
        rate = self.cpu_s / self.seconds if self.seconds >= KNOWN_S else USUALLY_IDLE
        return found.model_copy(update={"idle_cpu_s": min(found.cpu_s, rate * found.seconds)})


def measured(increase: Increase | None, gates: Collection[str], max_error: float | None) -> Measured:
    """What a window keeps, for the gates that are asked."""
    if increase is None:
        return Measured()
    labels, missing = _labels(increase, max_error), set[str]()
    if labels is None:
        missing.add("quality")
    if increase.cpu_s is None:
        missing.add("cost")
    return Measured(
        missing=tuple(sorted(missing & set(gates))),
        labels=labels if labels is not None and "quality" in gates else Counts(),
        rows=increase.rows,
        cpu_s=increase.cpu_s or 0.0,
        seconds=increase.seconds,
        bins=dict(increase.bins) if "predictionDrift" in gates else {},
    )


def _labels(increase: Increase, max_error: float | None) -> Counts | None:
    """The labels and the wrong ones. None without feedback, and for numbers without a limit of their error."""
    if increase.labels is None:
        return None
    if not increase.errors:
        return Counts(n=increase.labels, bad=min(increase.labels, increase.wrong))
    if max_error is None:
        return None
    return Counts(n=increase.labels, bad=min(increase.labels, increase.errors[ERROR_BOUNDS.index(max_error)]))
