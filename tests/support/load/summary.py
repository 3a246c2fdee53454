"""The result of a load run: counts, failures, latency quantiles, and filters by time, version and revision."""

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
    """An aware datetime as wall-clock nanoseconds, as time.time_ns() and summaries use them."""
    return round(when.timestamp() * 1e6) * 1000


@dataclass(frozen=True)
class Summary:
    """A finished run. Moments are wall-clock nanoseconds, comparable with time.time_ns() in any process.

    They are monotonic-clock readings plus one offset taken at the start, so their order is right even if the wall
    clock is set during the run. Filters (`between`, `of_version`) return summaries of a part of the requests.
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
    """CPU seconds of the generator."""
    wall_s: float = 0.0
    samples: Mapping[str, str] = field(default_factory=dict)
    """The first response of each kind of failure: its status and the beginning of its body."""

    @property
    def sent(self) -> int:
        """The number of requests."""
        return len(self.outcome)

    @property
    def ok(self) -> int:
        """The number of requests with an accepted response."""
        return int(self._good().sum())

    @property
    def failed(self) -> int:
        """The number of all other requests."""
        return self.sent - self.ok

    @property
    def failures(self) -> dict[str, int]:
        """The number of failed requests by kind: "status 503", "reset", ..."""
        bad = Counter(self.outcome[~self._good()].tolist())
        return {KINDS.get(code, f"status {code}"): count for code, count in bad.most_common()}

    @property
    def statuses(self) -> dict[int, int]:
        """The number of responses by status."""
        return dict(Counter(self.outcome[self.outcome > 0].tolist()))

    def latency_ms(self, quantile: float) -> float:
        """A latency quantile (0 to 1) over all complete responses, good or bad; NaN if there are none."""
        replies = self.latency[self.outcome > 0]
        return float(np.quantile(replies, quantile)) / 1e6 if len(replies) else float("nan")

    def lag_ms(self, quantile: float) -> float:
        """A quantile (0 to 1) of the generator's own delay."""
        return float(np.quantile(self.lag, quantile)) / 1e6 if self.sent else float("nan")

    @property
    def by_version(self) -> dict[str, int]:
        """The number of responses by model version."""
        return self._names(self.version, self.versions)

    @property
    def by_revision(self) -> dict[str, int]:
        """The number of responses by route revision."""
        return self._names(self.revision, self.revisions)

    @property
    def replied(self) -> NDArray[np.int64]:
        """The moment of the end of each response."""
        ends: NDArray[np.int64] = self.scheduled + self.latency
        return ends

    def of_version(self, version: str) -> Summary:
        """Only the responses of this version."""
        return self._where(self.version == self._code(version, self.versions))

    def of_revision(self, revision: str) -> Summary:
        """Only the responses with this revision."""
        return self._where(self.revision == self._code(revision, self.revisions))

    def between(self, start: int, end: int) -> Summary:
        """Only the requests that were due in [start, end)."""
        return self._where((self.scheduled >= start) & (self.scheduled < end))

    def first_reply(self, *, after: int = 0) -> int | None:
        """The moment of the first response later than `after`; None if there is none."""
        ends = self._reply_moments(after)
        return int(ends.min()) if len(ends) else None

    def last_reply(self, *, after: int = 0) -> int | None:
        """The moment of the last response later than `after`; None if there is none."""
        ends = self._reply_moments(after)
        return int(ends.max()) if len(ends) else None

    def version_at(self, position: int) -> str | None:
        """The version that answered the request at this position."""
        code = int(self.version[position])
        return self.versions[code] if code >= 0 else None

    def to_json(self) -> dict[str, Any]:
        """The numbers for a proof's JSON result."""
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
