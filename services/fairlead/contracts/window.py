"""Windows: what the gateways and services counted between two readings, as the engine keeps it. Counts, never rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, FiniteFloat, model_validator

from fairlead.contracts.answers import ClassCounts, Pairs, add_classes
from fairlead.contracts.base import Document, Moment


class Counts(Document):
    """Requests counted over a window: `n` in total, `bad` of them failed. Counts, never rates."""

    n: Annotated[int, Field(ge=0)] = 0
    bad: Annotated[int, Field(ge=0)] = 0

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(n=self.n + other.n, bad=self.bad + other.bad)


class VersionCounts(Document):
    """Counts of the candidate and of stable."""

    candidate: Counts = Counts()
    stable: Counts = Counts()

    def plus(self, other: VersionCounts) -> VersionCounts:
        """The sum of both."""
        return VersionCounts(candidate=self.candidate.plus(other.candidate), stable=self.stable.plus(other.stable))


class Failures(Document):
    """How the bad requests of one version failed, and how many requests took longer than `timeouts.perTry`.

    The first three add up to `bad`. `late` is counted apart: the limit applies to the candidate only, so it says
    something about the candidate only beside stable's number.
    """

    timed_out: Annotated[int, Field(ge=0)] = 0
    """Ended by the gateway after `timeouts.request`."""
    unanswered: Annotated[int, Field(ge=0)] = 0
    """Refused, reset, cut off, or sent to no instance because none was healthy."""
    server_errors: Annotated[int, Field(ge=0)] = 0
    """Answered with 5xx or 429."""
    late: Annotated[int, Field(ge=0)] = 0
    """Candidate: took longer than `perTry`, so that stable was asked too. Stable: took longer than the same limit, or
    its client gave up."""

    @property
    def bad(self) -> int:
        """How many requests failed."""
        return self.timed_out + self.unanswered + self.server_errors

    def plus(self, other: Failures) -> Failures:
        """The sum of both."""
        return Failures(
            timed_out=self.timed_out + other.timed_out,
            unanswered=self.unanswered + other.unanswered,
            server_errors=self.server_errors + other.server_errors,
            late=self.late + other.late,
        )


class VersionFailures(Document):
    """How requests of the candidate and of stable failed."""

    candidate: Failures = Failures()
    stable: Failures = Failures()

    def plus(self, other: VersionFailures) -> VersionFailures:
        """The sum of both."""
        return VersionFailures(candidate=self.candidate.plus(other.candidate), stable=self.stable.plus(other.stable))


Buckets = tuple[Annotated[int, Field(ge=0)], ...]


class Histograms(Document):
    """Responses by latency: cumulative counts, one per bucket bound of the gateways. Empty: not reported."""

    candidate: Buckets = ()
    stable: Buckets = ()

    def plus(self, other: Histograms) -> Histograms:
        """The sum of both."""
        return Histograms(
            candidate=add_buckets(self.candidate, other.candidate), stable=add_buckets(self.stable, other.stable)
        )


def add_buckets(one: Buckets, other: Buckets) -> Buckets:
    """The sum of both, bucket by bucket. An empty one adds nothing."""
    if not one or not other:
        return one or other
    return tuple(a + b for a, b in zip(one, other, strict=True))


class Measured(Document):
    """What one version's services counted in a window, for the gates of the strategy that judge by it."""

    missing: tuple[str, ...] = ()
    """The gates for which its services count nothing."""
    labels: Counts = Counts()
    """Labels that clients sent, and those that say that the prediction was wrong."""
    rows: Annotated[int, Field(ge=0)] = 0
    cpu_s: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    idle_cpu_s: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """The part of `cpu_s` that the services would have used without any row, as far as that is known."""
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """For how long they were measured, all instances together."""
    bins: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Rows by the bin of the number that was answered."""

    def plus(self, other: Measured) -> Measured:
        """The sum of both."""
        return Measured(
            missing=tuple(sorted({*self.missing, *other.missing})),
            labels=self.labels.plus(other.labels),
            rows=self.rows + other.rows,
            cpu_s=self.cpu_s + other.cpu_s,
            idle_cpu_s=self.idle_cpu_s + other.idle_cpu_s,
            seconds=self.seconds + other.seconds,
            bins=add_classes(self.bins, other.bins),
        )

    @property
    def cost(self) -> float:
        """CPU seconds for each row, without what it uses anyway; 0 without rows."""
        return max(0.0, self.cpu_s - self.idle_cpu_s) / self.rows if self.rows else 0.0


class VersionsMeasured(Document):
    """What the services of the candidate and of stable counted."""

    candidate: Measured = Measured()
    stable: Measured = Measured()

    def plus(self, other: VersionsMeasured) -> VersionsMeasured:
        """The sum of both."""
        return VersionsMeasured(candidate=self.candidate.plus(other.candidate), stable=self.stable.plus(other.stable))


class CustomGateCounts(Document):
    """What one custom gate counted up to `until`. With `gap` set it is not evidence, and all counts are 0."""

    arms: VersionCounts = VersionCounts()
    until: Moment
    gap: str | None = None


class GateEvidence(Document):
    """The evidence of an attempt at one gate so far: logarithms of the e-values for harm and for safety."""

    gate: str
    log_harm: FiniteFloat = 0.0
    log_safe: FiniteFloat = 0.0
    log_unconfirmed: FiniteFloat | None = None
    """The evidence for harm of the requests alone, while the windows do not confirm it. `log_harm` is less, then."""
    worse_windows: Annotated[int, Field(ge=0)] = 0
    """In how many windows the candidate was worse than stable."""
    told_windows: Annotated[int, Field(ge=0)] = 0
    """Of how many windows that is: those in which both had requests and some were bad."""
    settings: str = ""
    """A digest of the gate's settings. When they change, the test starts again."""
    state: dict[str, tuple[FiniteFloat, ...]] = {}
    """The state from which the next window continues. Only the newest window has it."""


class Window(Document):
    """What the gateways counted between two readings.

    `candidate` counts the attempts that the candidate answered, `stable` those of stable's own share. `assigned`
    requests were assigned to the candidate, and it did not answer `unserved` of them successfully. A window with `gap`
    set is not evidence, and all its counts are 0. `ready` is the number of ready candidate instances at its end, None
    if unknown. docs/rollouts.md, "What is counted", has the formulas.
    """

    start: Moment
    end: Moment
    weight: int
    candidate: Counts = Counts()
    stable: Counts = Counts()
    assigned: int = 0
    unserved: int = 0
    rejections: VersionCounts = VersionCounts()
    """Responses that reject the request: 4xx other than 429."""
    failures: VersionFailures = VersionFailures()
    """How the bad requests failed. All 0 in windows of older releases."""
    latency: Histograms = Histograms()
    pairs: Pairs = Pairs()
    """Mirrored requests that both versions answered. Services report them, so a gap of the gateways does not matter."""
    classes: ClassCounts = ClassCounts()
    """Answers to users by class, reported by the services."""
    measured: VersionsMeasured | None = None
    """What the services counted for the gates `quality`, `cost` and `predictionDrift`; None if nothing was read."""
    custom: dict[str, CustomGateCounts] = {}
    """What custom gates counted, each over its own interval. A gate without new counts is absent."""
    ready: int | None = None
    stable_instances: int | None = None
    """How many instances stable was wanted to have at its end, or had ready if that was not known; None if unknown."""
    gap: str | None = None
    evidence: tuple[GateEvidence, ...] = ()
    """The evidence of the attempt up to and including this window."""

    @model_validator(mode="after")
    def _a_gap_counts_nothing(self) -> Self:
        if self.gap is not None and (self.candidate.n or self.stable.n or self.assigned or self.unserved):
            raise ValueError("a window with a gap is not evidence; its counts must be 0")
        return self

    @property
    def seconds(self) -> float:
        """The length of the window."""
        return (self.end - self.start).total_seconds()

    def merged(self, later: Window) -> Window:
        """This window and the next one merged into one. A gap adds nothing."""
        ready = None if self.ready is None or later.ready is None else max(self.ready, later.ready)
        stable = (self.stable_instances, later.stable_instances)
        return Window(
            # A replayed window can start before the gap that precedes it: the gap was recorded first.
            start=min(self.start, later.start),
            end=max(self.end, later.end),
            weight=later.weight,
            candidate=self.candidate.plus(later.candidate),
            stable=self.stable.plus(later.stable),
            assigned=self.assigned + later.assigned,
            unserved=self.unserved + later.unserved,
            rejections=self.rejections.plus(later.rejections),
            failures=self.failures.plus(later.failures),
            latency=self.latency.plus(later.latency),
            pairs=self.pairs.plus(later.pairs),
            classes=self.classes.plus(later.classes),
            measured=_measured_together(self.measured, later.measured),
            custom=_together(self.custom, later.custom),
            ready=ready,
            stable_instances=max((one for one in stable if one is not None), default=None),
            gap=later.gap if self.gap and later.gap else None,
            evidence=later.evidence,
        )

    def without_state(self) -> Window:
        """This window without its evidence state, which the next window carries on. The e-values stay."""
        if not any(one.state for one in self.evidence):
            return self
        evidence = tuple(one.model_copy(update={"state": {}}) for one in self.evidence)
        return self.model_copy(update={"evidence": evidence})


def _measured_together(one: VersionsMeasured | None, other: VersionsMeasured | None) -> VersionsMeasured | None:
    return one.plus(other) if one is not None and other is not None else one or other


def _together(
    earlier: Mapping[str, CustomGateCounts], later: Mapping[str, CustomGateCounts]
) -> dict[str, CustomGateCounts]:
    found = {**earlier, **later}
    for gate in earlier.keys() & later.keys():
        one, other = earlier[gate], later[gate]
        found[gate] = CustomGateCounts(
            arms=one.arms.plus(other.arms), until=other.until, gap=other.gap if one.gap and other.gap else None
        )
    return found
