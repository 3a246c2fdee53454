"""What a load run found out, and the questions one can ask of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.load.columns import KINDS

_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}


def moment(when: datetime) -> int:
    """An aware datetime as the nanoseconds that summaries speak, those of time.time_ns()."""
    return round(when.timestamp() * 1e6) * 1000


@dataclass(frozen=True)
class Summary:
    """A finished run. Moments are wall-clock nanoseconds, as time.time_ns() gives them in any process.

    They are monotonic-clock readings plus one offset taken at the start, so the order holds even if the wall clock
    is set during the run. Filters (`between`, `of_version`) give summaries of a part.
    """

    rate: float
    scheduled: NDArray[np.int64]
    latency: NDArray[np.int64]
    lag: NDArray[np.int64]
    outcome: NDArray[np.int16]
    version: NDArray[np.int16]
    revision: NDArray[np.int16]
    index: NDArray[np.int64]
    versions: tuple[str, ...]
    revisions: tuple[str, ...]
    accepted: frozenset[int] = frozenset({200})
    cpu_s: float = 0.0
    """Processor time of the generator."""
    wall_s: float = 0.0
    samples: Mapping[str, str] = field(default_factory=dict)
    """The first reply of each kind of failure: status line and the beginning of the body."""

    @property
    def sent(self) -> int:
        """How many requests were due and tried."""
        return len(self.outcome)

    @property
    def ok(self) -> int:
        """How many were answered as expected."""
        return int(self._good().sum())

    @property
    def failed(self) -> int:
        """All others."""
        return self.sent - self.ok

    @property
    def failures(self) -> dict[str, int]:
        """How many failed, by kind: "status 503", "reset", ..."""
        bad = Counter(self.outcome[~self._good()].tolist())
        return {KINDS.get(code, f"status {code}"): count for code, count in bad.most_common()}

    @property
    def statuses(self) -> dict[int, int]:
        """How many replies had which status."""
        return dict(Counter(self.outcome[self.outcome > 0].tolist()))

    def latency_ms(self, quantile: float) -> float:
        """A quantile (0 to 1) over all complete replies, good or bad; NaN without any."""
        replies = self.latency[self.outcome > 0]
        return float(np.quantile(replies, quantile)) / 1e6 if len(replies) else float("nan")

    def lag_ms(self, quantile: float) -> float:
        """A quantile of how late the generator itself was."""
        return float(np.quantile(self.lag, quantile)) / 1e6 if self.sent else float("nan")

    @property
    def by_version(self) -> dict[str, int]:
        """How many replies named which version."""
        return self._names(self.version, self.versions)

    @property
    def by_revision(self) -> dict[str, int]:
        """How many replies named which revision of a route."""
        return self._names(self.revision, self.revisions)

    @property
    def replied(self) -> NDArray[np.int64]:
        """The moment of each reply's end."""
        ends: NDArray[np.int64] = self.scheduled + self.latency
        return ends

    def of_version(self, version: str) -> Summary:
        """Only replies by this version."""
        return self._where(self.version == self._code(version, self.versions))

    def of_revision(self, revision: str) -> Summary:
        """Only replies under this revision."""
        return self._where(self.revision == self._code(revision, self.revisions))

    def between(self, start: int, end: int) -> Summary:
        """Only requests that were due in [start, end)."""
        return self._where((self.scheduled >= start) & (self.scheduled < end))

    def first_reply(self, *, after: int = 0) -> int | None:
        """The moment of the first reply later than `after`; None when there is none."""
        ends = self._reply_moments(after)
        return int(ends.min()) if len(ends) else None

    def last_reply(self, *, after: int = 0) -> int | None:
        """The moment of the last reply later than `after`; None when there is none."""
        ends = self._reply_moments(after)
        return int(ends.max()) if len(ends) else None

    def version_at(self, position: int) -> str | None:
        """Which version answered the request at this position."""
        code = int(self.version[position])
        return self.versions[code] if code >= 0 else None

    def to_json(self) -> dict[str, Any]:
        """The numbers worth keeping."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "failures": self.failures,
            **{f"{name}_ms": self._rounded_ms(quantile) for name, quantile in _QUANTILES.items()},
            "rate": self.rate,
            "generator_lag_p99_ms": round(self.lag_ms(0.99), 3),
            "generator_core_share": round(self.cpu_s / self.wall_s, 3) if self.wall_s else None,
            "by_version": self.by_version,
        }

    def _rounded_ms(self, quantile: float) -> float | None:
        value = self.latency_ms(quantile)
        return None if isnan(value) else round(value, 3)

    def _good(self) -> NDArray[np.bool_]:
        return np.isin(self.outcome, list(self.accepted))

    def _reply_moments(self, after: int) -> NDArray[np.int64]:
        ends = self.replied[self.outcome > 0]
        late: NDArray[np.int64] = ends[ends > after]
        return late

    def _where(self, mask: NDArray[np.bool_]) -> Summary:
        names = ("scheduled", "latency", "lag", "outcome", "version", "revision", "index")
        return replace(self, **{name: getattr(self, name)[mask] for name in names})

    @staticmethod
    def _code(name: str, names: tuple[str, ...]) -> int:
        return names.index(name) if name in names else -2

    @staticmethod
    def _names(column: NDArray[np.int16], names: tuple[str, ...]) -> dict[str, int]:
        counts = Counter(column[column >= 0].tolist())
        return {names[code]: counts[code] for code in sorted(counts)}
