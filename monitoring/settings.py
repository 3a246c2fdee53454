"""The knobs: windows, objectives and how long an alert waits. Change them here and run `python -m monitoring`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fairlead.contracts import drift_limits
from fairlead.contracts.latency import check_boundary


@dataclass(frozen=True, slots=True)
class Burn:
    """The error budget is used up `factor` times too fast, over both windows. The short one ends the alert soon."""

    factor: float
    long: str
    short: str
    severity: str


@dataclass(frozen=True, slots=True)
class Drift:
    """When drift is shown and when it is an alert: `contracts.drift_limits` says what each limit is."""

    windows: tuple[tuple[str, str], ...] = (("1h", "1m"), ("24h", "2m"))
    """Pairs of a window and how often its rules run. Alerts read the first one."""
    shown_rows: float = drift_limits.SHOWN_ROWS
    least_rows: float = drift_limits.LEAST_ROWS
    times_critical: float = drift_limits.TIMES_CRITICAL
    input_floor: float = drift_limits.INPUT_FLOOR
    answer_floor: float = drift_limits.ANSWER_FLOOR
    vector_floor: float = drift_limits.VECTOR_FLOOR
    rise: float = drift_limits.RISE
    times: float = drift_limits.TIMES
    false_alarms: float = drift_limits.FALSE_ALARMS
    looks: int = drift_limits.LOOKS

    @property
    def evidence(self) -> float:
        """How much evidence a share must have: the logarithm of how rare chance must make it, at each look."""
        return drift_limits.evidence(self.looks, self.false_alarms)


@dataclass(frozen=True, slots=True)
class Quality:
    """When quality is an alert: how often a version is right, or by how much it errs."""

    window: str = "24h"
    """Labels come slowly."""
    every: str = "5m"
    least_labels: float = 200
    """An alert needs more labels than this,"""
    accuracy_floor: float = 0.03
    """and an accuracy that is lower than on held-out rows by more,"""
    error_factor: float = 1.2
    """or a mean absolute error that is so many times larger,"""
    deviations: float = 4
    """and so many standard deviations of the difference: chance exceeds four in one of 30,000 looks."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What an hour costs, in US dollars. The defaults are about what clouds ask for: write your own."""

    cpu: float = 0.04
    """Of one core,"""
    gpu: float = 0.8
    """and of one GPU, or of one slice of it,"""
    pools: tuple[tuple[str, float], ...] = ()
    """on nodes that none of these is about: patterns of their names, and what a GPU there costs."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are written as Prometheus writes them."""

    window: str = "5m"
    """Rates and quantiles are over this time. At least four scrape intervals."""
    scaling_window: str = "1m"
    """The same for the series that autoscalers read. The model's chart has it as `autoscaling.prometheus.window`."""
    objective: float = 0.999
    """The share of requests that are answered without 5xx. The rest is the error budget."""
    burns: tuple[Burn, ...] = (
        Burn(14.4, "1h", "5m", "page"),  # uses 2 % of a month's budget in an hour
        Burn(6, "6h", "30m", "page"),  # 5 % in six hours
        Burn(3, "1d", "2h", "ticket"),  # 10 % in a day
        Burn(1, "3d", "6h", "ticket"),  # 10 % in three days
    )
    least_usual: float = 1 / 60
    """Requests per second of the last hour from which ten minutes without any are no chance: one a minute."""
    least_failures: int = 5
    """With fewer failures in the long window no budget burns: one failure of a hundred requests is no incident."""
    least_rate: float = 0.05
    """A candidate is missing its requests where so many a second are due: 15 in five minutes."""
    slow_ms: int = 1024
    """An answer that takes longer is slow. One of the gateway's boundaries."""
    slow_share: float = 0.01
    """The share of slow answers that is accepted."""
    rejected_share: float = 0.01
    """The share of requests that a full queue may refuse."""
    quota_share: float = 0.9
    """The share of its quota that a client may use before somebody is told."""
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.99)
    drift: Drift = field(default_factory=Drift)
    quality: Quality = field(default_factory=Quality)
    prices: Prices = field(default_factory=Prices)
    lately: tuple[str, str] = ("1h", "1m")
    """A model without requests is missed if it had some in the first of these; that is looked up in steps of the
    second."""
    faster: int = 1
    """How many times shorter the waits of all alerts are: for drills, with windows as much shorter. Not above 60."""
    runbooks: str = "https://github.com/fairlead/fairlead/blob/main/monitoring/runbooks"

    def __post_init__(self) -> None:
        check_boundary(self.slow_ms)

    def faster_by(self, times: int) -> Settings:
        """The same, but every window and every wait is so many times shorter: an hour is 3600 / `times` seconds."""
        drift, quality = self.drift, self.quality

        def short(duration: str) -> str:
            return shortened(duration, times)

        return replace(
            self,
            window=short(self.window),
            scaling_window=short(self.scaling_window),
            burns=tuple(replace(one, long=short(one.long), short=short(one.short)) for one in self.burns),
            drift=replace(drift, windows=tuple((short(window), short(every)) for window, every in drift.windows)),
            quality=replace(quality, window=short(quality.window), every=short(quality.every)),
            lately=(short(self.lately[0]), short(self.lately[1])),
            faster=times * self.faster,
        )

    @property
    def budget(self) -> float:
        """The share of requests that may fail."""
        return round(1 - self.objective, 9)

    @property
    def burn_windows(self) -> tuple[str, ...]:
        """Every window that an error ratio is recorded for, each once."""
        return tuple(dict.fromkeys((self.window, *(one for burn in self.burns for one in (burn.short, burn.long)))))


def shortened(duration: str, times: int) -> str:
    """A duration divided by a number, in whole seconds: `1h` by 30 is `120s`. It is at least a second, or zero."""
    seconds = int(duration[:-1]) * _SECONDS[duration[-1]]
    return duration if times == 1 else f"{max(round(seconds / times), min(seconds, 1))}s"


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DEFAULT = Settings()
