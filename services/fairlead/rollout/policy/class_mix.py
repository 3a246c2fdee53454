"""The gate `classes`: whether the candidate answers each class about as often as stable does, window by window.

A class gets a place when it is first seen, and is bet on from the next window on. So the choice of classes never
depends on the counts that are compared. Classes without a place, and new ones in their first window, count as `other`.
Every place counts in the mean from the beginning, so a place that is taken later costs no alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import GateSpec
from fairlead.contracts.window import Window
from fairlead.rollout.analysis import comparison, multiple_comparisons, stored_comparison
from fairlead.rollout.analysis.bets import Floats, Sample
from fairlead.rollout.analysis.comparison import Comparison, Margins
from fairlead.rollout.analysis.stored_comparison import State
from fairlead.rollout.policy.weighed import Weighed

PLACES = 8
"""Seven classes and `other`. Each is compared twice, because a class may become more frequent or rarer."""
OTHER = PLACES - 1
_CLASS = "class:"


def weigh_classes(gate: GateSpec, state: State, window: Window) -> Weighed:
    """The evidence of the gate `classes` after one more window."""
    return weigh_mix(gate, state, window.classes)


def weigh_mix(gate: GateSpec, state: State, counts: ClassCounts) -> Weighed:
    """The evidence after one more window with these counts."""
    places = {name.removeprefix(_CLASS): int(at[0]) for name, at in state.items() if name.startswith(_CLASS)}
    candidate, stable = counts.candidate, counts.stable
    sample = Sample(sum(candidate.values()), _placed(candidate, places), sum(stable.values()), _placed(stable, places))
    before = stored_comparison.load(state, (2 * PLACES,), comparison.UNKNOWN)
    margins = Margins(floor=gate.shift, share=0.0, acceptable=gate.acceptable)
    taken = np.isin(np.arange(2 * PLACES) % PLACES, [*places.values(), OTHER])
    after = _only(taken, before, multiple_comparisons.advance_classes(before, sample, margins))
    bet = bool(places and candidate and stable and before.is_betting[taken].all())
    kept: dict[str, tuple[float, ...]] = {
        **stored_comparison.dump(after),
        **{f"{_CLASS}{name}": (float(at),) for name, at in _seated(places, stable, candidate).items()},
        "judged": (state.get("judged", (0.0,))[0] + bet,),
    }
    return Weighed.of_several(kept, after, safe=float(after.log_safe[taken].min()))


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


def _only(taken: np.ndarray, before: Comparison, after: Comparison) -> Comparison:
    """The new state for places that are taken; a free place keeps its old state."""
    fields = ((name, getattr(after, name), getattr(before, name)) for name in stored_comparison.FIELDS)
    return replace(before, **{name: np.where(taken[:, None], new, old) for name, new, old in fields})
