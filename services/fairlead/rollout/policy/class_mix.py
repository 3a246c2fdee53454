"""The gate `classes`: whether the candidate answers each class about as often as stable does, window by window.

A class gets a place when it is first seen, and is bet on from the next window on. So the choice of classes never
depends on the counts that are compared. Classes without a place, and new ones in their first window, count as `other`.
Every place counts in the mean from the beginning, so a place that is taken later costs no alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fairlead.contracts.gates import GateSpec
from fairlead.contracts.revision import Window
from fairlead.rollout.analysis import comparison, multiple_comparisons
from fairlead.rollout.analysis.bets import Floats, Sample
from fairlead.rollout.analysis.comparison import STATE_FIELDS, Comparison, Margins

PLACES = 8
"""Seven classes and `other`. Each is compared twice, because a class may become more frequent or rarer."""
OTHER = PLACES - 1
_CLASS = "class:"

State = Mapping[str, tuple[float, ...]]


def weigh_classes(gate: GateSpec, state: State, window: Window) -> tuple[State, float, float]:
    """The state after one more window, and the logarithms of the evidence for harm and for safety."""
    places = {name.removeprefix(_CLASS): int(at[0]) for name, at in state.items() if name.startswith(_CLASS)}
    candidate, stable = window.classes.candidate, window.classes.stable
    sample = Sample(sum(candidate.values()), _placed(candidate, places), sum(stable.values()), _placed(stable, places))
    before = _load(state)
    margins = Margins(floor=gate.shift, share=0.0, acceptable=gate.acceptable)
    taken = np.isin(np.arange(2 * PLACES) % PLACES, [*places.values(), OTHER])
    after = _only(taken, before, multiple_comparisons.advance_classes(before, sample, margins))
    bet = bool(places and candidate and stable and before.is_betting[taken].all())
    kept: dict[str, tuple[float, ...]] = {
        **{name: tuple(map(float, getattr(after, name).ravel())) for name in STATE_FIELDS},
        **{f"{_CLASS}{name}": (float(at),) for name, at in _seated(places, stable, candidate).items()},
        "judged": (state.get("judged", (0.0,))[0] + bet,),
    }
    return kept, float(multiple_comparisons.log_harm(after)), float(after.log_safe[taken].min())


def _placed(counts: Mapping[str, int], places: Mapping[str, int]) -> Floats:
    found = np.zeros(PLACES)
    for name, count in counts.items():
        found[places.get(name, OTHER)] += count
    return found


def _seated(places: Mapping[str, int], *counts: Mapping[str, int]) -> dict[str, int]:
    """The places after this window: its new classes get the free places, the most frequent class first."""
    seated = dict(places)
    for one in counts:
        for name in sorted(one, key=lambda each: (-one[each], each)):
            if name not in seated and len(seated) < OTHER:
                seated[name] = len(seated)
    return seated


def _load(state: State) -> Comparison:
    if not state:
        return comparison.fresh((2 * PLACES,), comparison.UNKNOWN)
    harm, safe, candidate, stable, spread = (np.array(state[name]).reshape(2 * PLACES, -1) for name in STATE_FIELDS)
    return Comparison(harm, safe, candidate, stable, comparison.UNKNOWN, spread)


def _only(taken: np.ndarray, before: Comparison, after: Comparison) -> Comparison:
    """The new state for places that are taken; a free place keeps its old state."""
    changed = {name: np.where(taken[:, None], getattr(after, name), getattr(before, name)) for name in STATE_FIELDS}
    return replace(before, **changed)
