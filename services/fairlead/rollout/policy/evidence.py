"""The evidence of an attempt, window by window: what each evidence gate's bets have won so far.

A fold over windows whose state is written down in the newest one, so whoever comes next (another tick, another
process) goes on from what was stored. A window with a gap changes nothing: what was not counted is no evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log

import numpy as np

from fairlead.contracts.base import canonical, digest
from fairlead.contracts.gates import GateSpec, is_custom, is_evidence
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Arms, GateEvidence, Histograms, Window
from fairlead.contracts.route import Strategy
from fairlead.rollout.analysis import comparison, multiple_comparisons, one_sample
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import STATE_FIELDS, Comparison, Margins, Prior
from fairlead.rollout.policy.class_mix import weigh_classes

METHOD = 3
"""Counted up when the bettors change: what others have won is not theirs to go on from."""
STRETCH_S = 30.0
"""Starving comes in stretches, because an ejected instance stays away for a while: one observation each."""
STRETCH_REQUESTS = 20
UNTIMED_SHARE = 0.001
"""Latency is judged in windows in which at most so many of the candidate's answers came from elsewhere."""

ANSWER_GATES = frozenset({"agreement", "classes"})
"""Services tell what these judge: what gateways could not count is no gap of theirs."""

EMPTY_HISTOGRAM = (0,) * len(GRID_MS)
"""The histogram of no answers."""

State = Mapping[str, tuple[float, ...]]
Weigh = Callable[[GateSpec, State, Window], tuple[State, float, float]]

DEFAULTS: Mapping[str, GateSpec] = {name: GateSpec(name=name) for name in ("errors", "starved", "rejections")}
"""Asked whether or not the spec names them."""


AGREEMENT = GateSpec(name="agreement")
"""Asked whether or not the spec names it, where the candidate is shadowed."""


def active_gates(strategy: Strategy) -> list[GateSpec]:
    """The evidence gates of a route, as they are to be asked."""
    named = {gate.name: gate for gate in strategy.gates if is_evidence(gate.name)}
    shadowed = {AGREEMENT.name: AGREEMENT} if strategy.shadow is not None else {}
    return [gate for gate in ({**DEFAULTS, **shadowed, **named}).values() if gate.role != "off"]


def threshold(strategy: Strategy, gate: GateSpec) -> float:
    """The logarithm of the evidence at which this gate fails: its part of alpha, as odds. All parts together are 1."""
    whole = sum(one.weight for one in active_gates(strategy))
    return -log(strategy.alpha * gate.weight / whole)


def weigh(strategy: Strategy, before: Sequence[Window], window: Window) -> tuple[GateEvidence, ...]:
    """What all windows of the attempt say, `window` included; `before` are those that came before it."""
    carried = {one.gate: one for one in before[-1].evidence} if before else {}
    return tuple(_weighed(strategy, gate, carried, before, window) for gate in active_gates(strategy))


def reaches_refusal(strategy: Strategy, before: Sequence[Window], window: Window) -> bool:
    """True when it is this window with which the evidence of mirrored answers reaches what refuses a candidate."""
    gate = next((one for one in active_gates(strategy) if one.name == AGREEMENT.name), None)
    if gate is None:
        return False
    carried = {one.gate: one for one in before[-1].evidence} if before else {}
    enough, known = threshold(strategy, gate), carried.get(gate.name, GateEvidence(gate=gate.name))
    return known.log_harm < enough <= _weighed(strategy, gate, carried, before, window).log_harm


def _weighed(
    strategy: Strategy, gate: GateSpec, carried: Mapping[str, GateEvidence], before: Sequence[Window], window: Window
) -> GateEvidence:
    # What is not set is not part of it: a setting that came later must not end the evidence of an older release.
    given = {name: value for name, value in gate.to_json().items() if value is not None}
    settings = digest(canonical({**given, "role": "", "weight": 0, "method": METHOD}))[:10]
    last = carried.get(gate.name)
    if last is None or last.settings != settings:
        last = GateEvidence(gate=gate.name, settings=settings)
    if gate.name not in ANSWER_GATES and (gap_of(gate.name, window) is not None or not is_counted(gate.name, window)):
        return last
    if gate.name == "latency":
        if not window.latency.stable:
            return last
        if not is_timed(window) or is_cold(before, window, strategy.warm_up.exclude):
            # Not the candidate's own time. Stable's is its own always, and is learned from.
            window = window.model_copy(update={"latency": Histograms(stable=window.latency.stable)})
    state, harm, safe = (_custom if is_custom(gate.name) else _WEIGH[gate.name])(gate, last.state, window)
    return GateEvidence(gate=gate.name, settings=settings, log_harm=harm, log_safe=safe, state=dict(state))


def gap_of(gate: str, window: Window) -> str | None:
    """Why this gate has nothing from the window. A custom gate is counted by somebody else, and has gaps of its own."""
    if not is_custom(gate):
        return window.gap
    tally = window.custom.get(gate)
    return tally.gap if tally is not None else None


def is_counted(gate: str, window: Window) -> bool:
    """False where a custom gate's targets were not scraped anew: what they counted is in a later window."""
    return not is_custom(gate) or gate in window.custom


def is_judged(evidence: GateEvidence) -> bool:
    """True when there was a window on which something could be bet: until then, silence is no good news."""
    return bool(evidence.state) and evidence.state.get("judged", (1.0,))[0] > 0


def is_timed(window: Window) -> bool:
    """True when the candidate's time is its own: nothing was retried or answered by somebody else."""
    elsewhere = abs(window.assigned - window.candidate.n) + window.unserved
    return bool(window.latency.candidate and window.latency.stable) and elsewhere <= UNTIMED_SHARE * window.assigned


def is_cold(before: Sequence[Window], window: Window, exclude_s: float) -> bool:
    """True when one more of the candidate's instances became ready a moment ago: new ones are slow for a while."""
    later = window
    for earlier in reversed(before):
        # More at the end of `later` than before it: somebody came while it lasted.
        if later.ready is not None and earlier.ready is not None and later.ready > earlier.ready:
            return (window.end - later.end).total_seconds() < exclude_s
        if (window.end - earlier.end).total_seconds() >= exclude_s:
            return False
        later = earlier
    return False


def _errors(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    return _compared(gate, state, Arms(candidate=window.candidate, stable=window.stable))


def _rejections(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    return _compared(gate, state, window.rejections)


def _compared(gate: GateSpec, state: State, arms: Arms) -> tuple[State, float, float]:
    sample = Sample(arms.candidate.n, arms.candidate.bad, arms.stable.n, arms.stable.bad)
    after = comparison.advance(_load(state, ()), sample, _margins(gate))
    return _dump(after), float(after.log_harm), float(after.log_safe)


def _latency(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    at = [GRID_MS.index(round(1000 * bound)) for bound in gate.boundaries]
    (n_c, x_c), (n_s, x_s) = (
        (histogram[-1], np.array([histogram[-1] - histogram[index] for index in at]))
        for histogram in (window.latency.candidate or EMPTY_HISTOGRAM, window.latency.stable)
    )
    before = _load(state, (len(at),), comparison.UNKNOWN)
    after = multiple_comparisons.advance_latency(before, Sample(n_c, x_c, n_s, x_s), _margins(gate))
    judged = state.get("judged", (0.0,))[0] + bool(n_c and n_s and before.is_betting.all())
    return (
        {**_dump(after), "judged": (judged,)},
        float(multiple_comparisons.log_harm(after)),
        float(multiple_comparisons.log_safe(after)),
    )


def _starved(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    """One observation per stretch: did most of the candidate's requests go elsewhere?"""
    hits, n = state.get("stretches", (0.0, 0.0))
    seconds, assigned, elsewhere = state.get("open", (0.0, 0.0, 0.0))
    seconds += window.seconds
    assigned += window.assigned
    elsewhere += max(0, window.assigned - window.candidate.n)
    if seconds >= STRETCH_S and assigned >= STRETCH_REQUESTS:
        hits, n = hits + (elsewhere > gate.starved_share * assigned), n + 1
        seconds = assigned = elsewhere = 0.0
    after = {"stretches": (hits, n), "open": (seconds, assigned, elsewhere)}
    return after, float(one_sample.log_harm(hits, n, gate.chance)), float(one_sample.log_safe(hits, n, gate.chance))


def _agreement(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    differ, n = state.get("pairs", (0.0, 0.0))
    differ, n = differ + window.pairs.differ, n + window.pairs.n
    harm, safe = (each(differ, n, gate.max_disagreement) for each in (one_sample.log_harm, one_sample.log_safe))
    return {"pairs": (differ, n), "judged": (n,)}, float(harm), float(safe)


def _custom(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    """Compared with stable, or its candidate's share of bad with a fixed limit."""
    arms = window.custom[gate.name].arms
    judged = (state.get("judged", (0.0,))[0] + bool(arms.candidate.n and (gate.limit is not None or arms.stable.n)),)
    if gate.limit is None:
        after, harm, safe = _compared(gate, {name: one for name, one in state.items() if name != "judged"}, arms)
        return {**after, "judged": judged}, harm, safe
    bad, n = (a + b for a, b in zip(state.get("seen", (0.0, 0.0)), (arms.candidate.bad, arms.candidate.n), strict=True))
    harm, safe = (float(side(bad, n, gate.limit)) for side in (one_sample.log_harm, one_sample.log_safe))
    return {"seen": (bad, n), "judged": judged}, harm, safe


_WEIGH: Mapping[str, Weigh] = {
    "agreement": _agreement,
    "classes": weigh_classes,
    "errors": _errors,
    "rejections": _rejections,
    "latency": _latency,
    "starved": _starved,
}


def _margins(gate: GateSpec) -> Margins:
    return Margins(floor=gate.margin, share=gate.margin_share, acceptable=gate.acceptable)


def _load(state: State, shape: tuple[int, ...], prior: Prior = comparison.RARE) -> Comparison:
    if not state:
        return comparison.fresh(shape, prior)
    harm, safe, candidate, stable, spread = (np.array(state[name]).reshape(*shape, -1) for name in STATE_FIELDS)
    return Comparison(harm, safe, candidate, stable, prior, spread)


def _dump(after: Comparison) -> State:
    return dict(_flat(after))


def _flat(after: Comparison) -> Iterator[tuple[str, tuple[float, ...]]]:
    for name in STATE_FIELDS:
        yield name, tuple(map(float, getattr(after, name).ravel()))
