"""How often predictions failed, by status and sentence: bounded, without input values, and only for people."""

from __future__ import annotations

from fairlead.contracts.answers import MAX_PROBLEM, MAX_PROBLEMS

OTHER = "other"


class ProblemCounts:
    """Counts since the process started. Call it on the event loop only, and only for a request that failed."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, status: int, sentence: str) -> None:
        """Count a request that was answered with this status. `sentence` says why, without values of the input."""
        key = f"{status} {' '.join(sentence.split())}"[:MAX_PROBLEM]
        # One key is kept for the others.
        name = key if key in self._counts or len(self._counts) < MAX_PROBLEMS - 1 else OTHER
        self._counts[name] = self._counts.get(name, 0) + 1

    def counts(self) -> dict[str, int]:
        """A copy: `422 body.bmi: Field required` and how often."""
        return dict(self._counts)
