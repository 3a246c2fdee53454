"""How often predictions failed, by status and sentence: bounded, without input values, and only for people."""

from __future__ import annotations

from fairlead.contracts.answers import MAX_PROBLEM, MAX_PROBLEMS
from fairlead.serving.observe.counts import Counts
from fairlead.serving.observe.shared_memory import SharedMemory

OTHER = "other"


class ProblemCounts:
    """Counts since the service started. Call it on the event loop only, and only for a request that failed."""

    def __init__(self, memory: SharedMemory | None = None) -> None:
        self._counts = Counts(memory or SharedMemory(), MAX_PROBLEMS, 4 * MAX_PROBLEM)

    def add(self, status: int, sentence: str) -> None:
        """Count a request that was answered with this status. `sentence` says why, without values of the input."""
        counts = self._counts
        key = f"{status} {' '.join(sentence.split())}"[:MAX_PROBLEM]
        # One key is kept for the others.
        counts.add(key if key in counts or len(counts) < MAX_PROBLEMS - 1 else OTHER)

    def counts(self) -> dict[str, int]:
        """`422 body.bmi: Field required` and how often, over all workers."""
        return {name: int(count) for name, count in self._counts.totals().items()}
