"""The evidence of an attempt, updated window by window: each evidence gate's e-values so far.

The newest window stores the state, so another tick or another process continues from it. A window with a gap changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import log

import numpy as np

from fairlead.contracts.base import canonical, digest
from fairlead.contracts.gates import MEASURED, GateSpec, is_custom, is_evidence
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.route import Strategy
from fairlead.contracts.window import Counts, GateEvidence, Histograms, VersionCounts, Window
from fairlead.rollout.analysis import comparison, multiple_comparisons, one_sample, stored_comparison
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import Margins
from fairlead.rollout.analysis.stored_comparison import State
from fairlead.rollout.policy.class_mix import weigh_classes
from fairlead.rollout.policy.measured_gates import weigh_cost, weigh_predictions, weigh_quality
from fairlead.rollout.policy.weighed import Weighed

METHOD = 3
"""Increased when the bettors change, so that they do not continue from the e-values of other bettors."""
STRETCH_S = 30.0
"""Starvation is observed once per stretch of this length, because an ejected instance stays away for a while."""
STRETCH_REQUESTS = 20
TROUBLE_SHARE = 0.1
"""The share of bad or late requests above which stable is in trouble. A service may always fail one in a hundred."""
UNTIMED_SHARE = 0.001
"""Latency is judged in windows in which at most this share of the candidate's requests was answered elsewhere."""

ANSWER_GATES = MEASURED | {"agreement", "classes"}
"""Gates on what the services tell. A gap in the gateways' counts is not a gap for them."""

EMPTY_HISTOGRAM = (0,) * len(GRID_MS)
"""The histogram without answers."""

_LATE = "late_"
"""Begins the names of the fields of the second comparison of the gate `errors`."""

Weigh = Callable[[GateSpec, State, Window], Weighed]

DEFAULTS: Mapping[str, GateSpec] = {
    **{name: GateSpec(name=name) for name in ("errors", "starved", "rejections")},
    "latency": GateSpec(name="latency", weight=0.5, slowdown=4),
    "classes": GateSpec(name="classes", weight=0.5, shift=0.2),
}
"""These gates are active even if the spec does not name them."""
WATCHING = frozenset({"latency", "classes"})
"""Gates that only watch unless the spec names them: they find gross differences, and no step waits for their data. A
model with little traffic, or whose answers have no class, is released as before."""


AGREEMENT = GateSpec(name="agreement")
"""This gate is active in strategies with a shadow, even if the spec does not name it."""


def active_gates(strategy: Strategy) -> list[GateSpec]:
    """The evidence gates of a route, with their settings."""
    named = {gate.name: gate for gate in strategy.gates if is_evidence(gate.name)}
    shadowed = {AGREEMENT.name: AGREEMENT} if strategy.shadow is not None else {}
    return [gate for gate in ({**DEFAULTS, **shadowed, **named}).values() if gate.role != "off"]


def only_watches(strategy: Strategy, gate: str) -> bool:
    """True when a gate that finds no harm passes, also without data, because the spec does not name it."""
    return gate in WATCHING and all(one.name != gate for one in strategy.gates)


def threshold(strategy: Strategy, gate: GateSpec) -> float:
    """The log evidence at which this gate fails, from its part of alpha. The parts of all gates add up to alpha."""
    whole = sum(one.weight for one in active_gates(strategy))
    return -log(strategy.alpha * gate.weight / whole)


def weigh(strategy: Strategy, before: Sequence[Window], window: Window) -> tuple[GateEvidence, ...]:
    """The evidence of all windows of the attempt: of `before` and then `window`."""
    carried = {one.gate: one for one in before[-1].evidence} if before else {}
    return tuple(_weighed(strategy, gate, carried, before, window) for gate in active_gates(strategy))


def reaches_refusal(strategy: Strategy, before: Sequence[Window], window: Window) -> bool:
    """True when the `agreement` gate's evidence reaches its threshold with this window, and did not before."""
    gate = next((one for one in active_gates(strategy) if one.name == AGREEMENT.name), None)
    if gate is None:
        return False
    carried = {one.gate: one for one in before[-1].evidence} if before else {}
    enough, known = threshold(strategy, gate), carried.get(gate.name, GateEvidence(gate=gate.name))
    return known.log_harm < enough <= _weighed(strategy, gate, carried, before, window).log_harm


def _weighed(
    strategy: Strategy, gate: GateSpec, carried: Mapping[str, GateEvidence], before: Sequence[Window], window: Window
) -> GateEvidence:
    # Unset fields are left out, so that a new kind of setting does not reset the evidence of a running attempt.
    given = {name: value for name, value in gate.to_json().items() if value is not None}
    settings = digest(canonical({**given, "role": "", "weight": 0, "method": METHOD}))[:10]
    last = carried.get(gate.name)
    if last is None or last.settings != settings:
        last = GateEvidence(gate=gate.name, settings=settings)
    if gate.name not in ANSWER_GATES and (gap_of(gate.name, window) is not None or not is_counted(gate.name, window)):
        return last
    if gate.name in MEASURED and window.measured is None:
        return last
    if gate.name == "latency":
        if not window.latency.stable:
            return last
        if not is_timed(window) or is_cold(before, window, strategy.warm_up.exclude):
            # The latency is not only the candidate's own. Stable's always is, so its rate is still learned.
            window = window.model_copy(update={"latency": Histograms(stable=window.latency.stable)})
    weighed = (_custom if is_custom(gate.name) else _WEIGH[gate.name])(gate, last.state, window)
    return weighed.evidence(gate.name, settings)


def gap_of(gate: str, window: Window) -> str | None:
    """Why the window is a gap for this gate, or None. Custom gates have gaps of their own: Prometheus counts them."""
    if not is_custom(gate):
        return window.gap
    tally = window.custom.get(gate)
    return tally.gap if tally is not None else None


def is_counted(gate: str, window: Window) -> bool:
    """False when a custom gate's targets were not scraped again yet: a later window has their counts."""
    return not is_custom(gate) or gate in window.custom


def is_judged(evidence: GateEvidence) -> bool:
    """True when at least one window could be bet on. Until then, no evidence of harm does not mean a pass."""
    return bool(evidence.state) and evidence.state.get("judged", (1.0,))[0] > 0


def is_in_trouble(window: Window) -> bool:
    """True when a large share of stable's own requests failed, or took longer than the candidate may take."""
    return window.stable.bad + window.failures.stable.late > TROUBLE_SHARE * window.stable.n


def is_timed(window: Window) -> bool:
    """True when the latency is the candidate's own: hardly any request was retried or answered elsewhere."""
    elsewhere = abs(window.assigned - window.candidate.n) + window.unserved
    return bool(window.latency.candidate and window.latency.stable) and elsewhere <= UNTIMED_SHARE * window.assigned


def is_cold(before: Sequence[Window], window: Window, exclude_s: float) -> bool:
    """True when another candidate instance became ready less than `exclude_s` ago: new instances are slow at first."""
    later = window
    for earlier in reversed(before):
        # More at the end of `later` than before it: an instance became ready during it.
        if later.ready is not None and earlier.ready is not None and later.ready > earlier.ready:
            return (window.end - later.end).total_seconds() < exclude_s
        if (window.end - earlier.end).total_seconds() >= exclude_s:
            return False
        later = earlier
    return False


def _errors(gate: GateSpec, state: State, window: Window) -> Weighed:
    """Two comparisons: of bad requests, and of requests that were bad or took longer than the candidate's limit.

    The second one counts both versions by the same limit. Until a request was late both are the same, and there is one.
    """
    bad = VersionCounts(candidate=window.candidate, stable=window.stable)
    own = {name: one for name, one in state.items() if name in stored_comparison.FIELDS}
    first = _compared(gate, own, bad)
    late = window.failures.candidate.late, window.failures.stable.late
    known = {name: state[_LATE + name] for name in stored_comparison.FIELDS if _LATE + name in state}
    if not known and not any(late):
        return first
    both = VersionCounts(candidate=_with_late(bad.candidate, late[0]), stable=_with_late(bad.stable, late[1]))
    second = _compared(gate, known or own, both)
    merged = {**first.state, **{_LATE + name: one for name, one in second.state.items()}}
    return first.with_another(merged, second)


def _with_late(counts: Counts, late: int) -> Counts:
    return Counts(n=counts.n, bad=min(counts.n, counts.bad + late))


def _rejections(gate: GateSpec, state: State, window: Window) -> Weighed:
    return _compared(gate, state, window.rejections)


def _compared(gate: GateSpec, state: State, arms: VersionCounts) -> Weighed:
    sample = Sample(arms.candidate.n, arms.candidate.bad, arms.stable.n, arms.stable.bad)
    before = stored_comparison.load(state, (), comparison.RARE)
    after = comparison.advance(before, sample, _margins(gate))
    return Weighed.of_one(stored_comparison.dump(after), after)


def _latency(gate: GateSpec, state: State, window: Window) -> Weighed:
    (n_c, x_c), (n_s, x_s) = (
        (histogram[-1], np.array([histogram[-1] - histogram[GRID_MS.index(round(1000 * bound))] for bound in bounds]))
        for histogram, bounds in (
            (window.latency.candidate or EMPTY_HISTOGRAM, gate.boundaries),
            (window.latency.stable, [*map(gate.stable_boundary, gate.boundaries)]),
        )
    )
    before = stored_comparison.load(state, (len(gate.boundaries),), comparison.UNKNOWN)
    after = multiple_comparisons.advance_latency(before, Sample(n_c, x_c, n_s, x_s), _margins(gate))
    judged = state.get("judged", (0.0,))[0] + bool(n_c and n_s and before.is_betting.all())
    stored = {**stored_comparison.dump(after), "judged": (judged,)}
    return Weighed.of_several(stored, after, safe=float(multiple_comparisons.log_safe(after)))


def _starved(gate: GateSpec, state: State, window: Window) -> Weighed:
    """One observation per stretch: whether most of the candidate's requests went elsewhere.

    While stable is in trouble too, nothing is observed: the gateway may eject all of the candidate's instances, but
    never all of stable's.
    """
    hits, n = state.get("stretches", (0.0, 0.0))
    if is_in_trouble(window):
        return _one_sample(state, hits, n, gate.chance)
    seconds, assigned, elsewhere = state.get("open", (0.0, 0.0, 0.0))
    seconds += window.seconds
    assigned += window.assigned
    elsewhere += max(0, window.assigned - window.candidate.n)
    if seconds >= STRETCH_S and assigned >= STRETCH_REQUESTS:
        hits, n = hits + (elsewhere > gate.starved_share * assigned), n + 1
        seconds = assigned = elsewhere = 0.0
    return _one_sample({"stretches": (hits, n), "open": (seconds, assigned, elsewhere)}, hits, n, gate.chance)


def _agreement(gate: GateSpec, state: State, window: Window) -> Weighed:
    differ, n = state.get("pairs", (0.0, 0.0))
    differ, n = differ + window.pairs.differ, n + window.pairs.n
    return _one_sample({"pairs": (differ, n), "judged": (n,)}, differ, n, gate.max_disagreement)


def _custom(gate: GateSpec, state: State, window: Window) -> Weighed:
    """The candidate compared with stable, or its share of bad events compared with a fixed limit."""
    arms = window.custom[gate.name].arms
    judged = (state.get("judged", (0.0,))[0] + bool(arms.candidate.n and (gate.limit is not None or arms.stable.n)),)
    if gate.limit is None:
        found = _compared(gate, {name: one for name, one in state.items() if name != "judged"}, arms)
        return replace(found, state={**found.state, "judged": judged})
    bad, n = (a + b for a, b in zip(state.get("seen", (0.0, 0.0)), (arms.candidate.bad, arms.candidate.n), strict=True))
    return _one_sample({"seen": (bad, n), "judged": judged}, bad, n, gate.limit)


def _one_sample(state: State, bad: float, n: float, limit: float) -> Weighed:
    harm, safe = (float(side(bad, n, limit)) for side in (one_sample.log_harm, one_sample.log_safe))
    return Weighed(state, harm, safe, harm)


_WEIGH: Mapping[str, Weigh] = {
    "agreement": _agreement,
    "classes": weigh_classes,
    "errors": _errors,
    "rejections": _rejections,
    "latency": _latency,
    "starved": _starved,
    "quality": weigh_quality,
    "cost": weigh_cost,
    "predictionDrift": weigh_predictions,
}


def _margins(gate: GateSpec) -> Margins:
    return Margins(floor=gate.margin, share=gate.margin_share, acceptable=gate.acceptable)
