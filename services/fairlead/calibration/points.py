"""What one window of load has measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LEFT_OUT = 0.2
"""Share of a window's requests that are not measured: the first ones meet an empty service."""
BUSY_SHARE = 0.9
"""A generator that uses more of a core than this may itself be what is slow."""
FULL_SHARE = 0.95
NOTED_CORES = 0.5
"""A machine is full if so much of it is used, and other processes use so many cores."""
LATE_SHARE = 0.25
"""If the generator is later than this share of a latency, the latency says little about the service."""


@dataclass(frozen=True, slots=True)
class Window:
    """The requests of one window, in the order in which they were due. All times are seconds of one clock.

    `sent` and `answered` have infinity for a request that was not sent, or not answered with 200.
    """

    rate: float
    due: Sequence[float]
    sent: Sequence[float]
    answered: Sequence[float]
    seconds: float
    """From the first request that is due to the last answer."""
    stopped_early: bool = False
    """Whether so many requests waited that the rest was not sent."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """How many requests failed, by status or reason."""
    generator_cpu_s: float = 0.0
    service_cpu_s: float = 0.0
    others_cpu_s: float = 0.0
    """CPU time of all other processes of the machine."""
    watched_s: float = 0.0
    """How long the CPU times of service and others were counted: a little longer than the load lasted."""
    cores: int = 1
    """The cores of the machine."""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A rate, and how it was answered. Latencies are seconds from when a request was due."""

    rate: float
    """Requests per second that were due."""
    requests: int
    """How many of them were measured."""
    answered_rate: float
    """Good answers per second. Where it is less than the rate, it is the most that the service answers."""
    p50_s: float
    p95_s: float
    p99_s: float
    service_mean_s: float
    """Mean of the time from sending a request to its answer; what the service itself counts as in flight."""
    late_p95_s: float
    """How late the generator sent."""
    generator_share: float
    """Share of one core that the generator used."""
    others_cores: float
    """How many cores other processes used."""
    machine_was_full: bool
    """Whether no core was left, and others used a part of them."""
    cpu_per_request_s: float
    """CPU time of the service for a request that it answered."""
    memory_bytes: int
    failed: Mapping[str, int]
    stopped_early: bool

    @property
    def in_flight(self) -> float:
        """The mean number of requests in flight, by Little's law."""
        return self.rate * self.service_mean_s

    @property
    def says_little(self) -> bool:
        """Whether something else than the service may be why the latency is high: the load generator, or others."""
        is_late = math.isfinite(self.p95_s) and self.late_p95_s > LATE_SHARE * self.p95_s
        return self.generator_share > BUSY_SHARE or is_late or self.machine_was_full


def corrected(due: Sequence[float], answered: Sequence[float]) -> list[float]:
    """Latencies from the intended times: a request that had to wait to be sent has waited."""
    return [end - begin for begin, end in zip(due, answered, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN if there are none."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan


def summary(window: Window) -> Point:
    """The numbers of a window, without its first requests."""
    kept = slice(math.floor(LEFT_OUT * len(window.due)), None)
    due, sent, answered = window.due[kept], window.sent[kept], window.answered[kept]
    latencies = corrected(due, answered)
    times = [end - begin for begin, end in zip(sent, answered, strict=True) if math.isfinite(end)]
    late = [begin - when for when, begin in zip(due, sent, strict=True) if math.isfinite(begin)]
    good = sum(map(math.isfinite, window.answered))
    used_s = window.service_cpu_s + window.generator_cpu_s + window.others_cpu_s
    watched_s = max(window.watched_s, window.seconds)
    others_cores = min(window.others_cpu_s / watched_s, window.cores) if watched_s else 0.0  # CPU time comes in ticks
    is_full = used_s > FULL_SHARE * window.cores * watched_s and others_cores > NOTED_CORES
    return Point(
        rate=window.rate,
        requests=len(latencies),
        answered_rate=good / window.seconds if window.seconds else 0.0,
        p50_s=percentile(latencies, 0.5),
        p95_s=percentile(latencies, 0.95),
        p99_s=percentile(latencies, 0.99),
        service_mean_s=sum(times) / len(times) if times else math.inf,
        late_p95_s=percentile(late, 0.95),
        generator_share=window.generator_cpu_s / window.seconds if window.seconds else 0.0,
        others_cores=others_cores,
        machine_was_full=is_full,
        cpu_per_request_s=window.service_cpu_s / good if good else math.nan,
        memory_bytes=window.memory_bytes,
        failed=window.failed,
        stopped_early=window.stopped_early,
    )
