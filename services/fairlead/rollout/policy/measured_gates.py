"""The evidence of the gates on what services count of themselves: `quality`, `cost`, `predictionDrift`.

Labels and rows of the two versions need not arrive in the same window. So `quality` and `cost` add up windows until
both versions have enough, and bet on the sum. When that is depends on how many there are, never on what they say.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import GateSpec
from fairlead.contracts.window import VersionsMeasured, Window
from fairlead.rollout.analysis import comparison, cost_bets, stored_comparison
from fairlead.rollout.analysis.bets import Floats, Sample
from fairlead.rollout.analysis.comparison import Margins
from fairlead.rollout.analysis.stored_comparison import State
from fairlead.rollout.policy.class_mix import weigh_mix
from fairlead.rollout.policy.weighed import Weighed

LEAST_LABELS = 20
"""So many labels of each version make a bet."""
LEAST_ROWS = 50
"""So many rows of each version make a bet on their cost."""
LEAST_LOAD = 0.5
"""An instance of the candidate answers at least this share of the rows of one of stable. Measured: with a ninth of
the rows, the same version uses 1.2 to 1.3 times the CPU seconds for each, because every request wakes it up."""


def weigh_quality(gate: GateSpec, state: State, window: Window) -> Weighed:
    """The evidence after one more window: the shares of wrong answers are compared."""
    arms = _measured(window)
    now = (arms.candidate.labels.n, arms.candidate.labels.bad, arms.stable.labels.n, arms.stable.labels.bad)
    waiting = tuple(a + b for a, b in zip(state.get("open", (0.0,) * 4), now, strict=True))
    known = {name: one for name, one in state.items() if name in stored_comparison.FIELDS}
    judged = state.get("judged", (0.0,))[0]
    before = after = stored_comparison.load(known, (), comparison.UNKNOWN)
    if min(waiting[0], waiting[2]) >= LEAST_LABELS:
        margins = Margins(floor=gate.margin, share=gate.margin_share, acceptable=gate.acceptable)
        after = comparison.advance(before, Sample(*waiting), margins)
        judged, waiting = judged + bool(before.is_betting), (0.0,) * 4
    return Weighed.of_one({**stored_comparison.dump(after), "open": waiting, "judged": (judged,)}, after)


def weigh_cost(gate: GateSpec, state: State, window: Window) -> Weighed:
    """The evidence after one more window. Windows in which the candidate has too little load are no evidence.

    Nor are those in which a version did not know its CPU seconds: its rows would have cost nothing.
    """
    arms = _measured(window)
    now = tuple(
        number if knows_cost(arms) else 0.0
        for one in (arms.candidate, arms.stable)
        for number in (float(one.rows), max(0.0, one.cpu_s - one.idle_cpu_s), one.seconds)
    )
    waiting = tuple(a + b for a, b in zip(state.get("open", (0.0,) * 6), now, strict=True))
    judged, wealth = state.get("judged", (0.0,))[0], cost_bets.fresh() + state.get("wealth", (0.0,))
    if min(waiting[0], waiting[3]) >= LEAST_ROWS:
        candidate, stable = waiting[1] / waiting[0], waiting[4] / waiting[3]
        if has_load(waiting[0], waiting[2], waiting[3], waiting[5]) and stable > 0:
            wealth, judged = cost_bets.advance(wealth, candidate, stable, gate.allowed_ratio), judged + 1
        waiting = (0.0,) * 6
    kept: dict[str, tuple[float, ...]] = {"open": waiting, "wealth": tuple(wealth.tolist()), "judged": (judged,)}
    harm, safe = _logs(wealth)
    return Weighed(kept, harm, safe, harm)


def knows_cost(found: VersionsMeasured) -> bool:
    """Whether both versions knew the CPU seconds of their rows."""
    return "cost" not in (*found.candidate.missing, *found.stable.missing)


def has_load(rows: float, seconds: float, stable_rows: float, stable_seconds: float) -> bool:
    """Whether an instance of the candidate has enough load to compare its cost with that of an instance of stable."""
    return rows * stable_seconds >= LEAST_LOAD * stable_rows * seconds


def weigh_predictions(gate: GateSpec, state: State, window: Window) -> Weighed:
    """The evidence after one more window: shares of the bins of a number, or else of classes, are compared."""
    return weigh_mix(gate, state, predictions(window))


def predictions(window: Window) -> ClassCounts:
    """What both versions predicted: by bins if either has them, else by class; empty if the bins differ."""
    arms = _measured(window)
    if not arms.candidate.bins and not arms.stable.bins:
        return window.classes
    if has_other_bins(window):
        return ClassCounts()
    return ClassCounts(candidate=_some(arms.candidate.bins), stable=_some(arms.stable.bins))


def has_other_bins(window: Window) -> bool:
    """Whether the two versions count their numbers in different bins. One that was not read yet has none."""
    arms = _measured(window)
    was_read = arms.candidate.seconds and arms.stable.seconds
    return bool(was_read) and arms.candidate.bins.keys() != arms.stable.bins.keys()


def _measured(window: Window) -> VersionsMeasured:
    return window.measured or VersionsMeasured()


def _some(bins: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in bins.items() if count}


def _logs(wealth: Floats) -> tuple[float, float]:
    return float(cost_bets.log_harm(wealth)), float(cost_bets.log_safe(wealth))
