"""What a rule makes of the simulated rollouts of one cell, and how it is written into the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fairlead.rollout.analysis.comparison import Margins
from support.rollouts import rules
from support.rollouts.rules import Ints
from support.rollouts.simulated_counts import WINDOW_S, WINDOWS, Cell, Counted
from support.row_cache import Row

SEED = 20261121
SHARE = 1 / 3
"""The share of the release's alpha for one of three gates of equal weight. 1 is a gate that has all of alpha."""
OURS, WHOLE, BARE = "fairlead, a third of alpha", "fairlead, all of alpha", "fairlead, no margin"
REQUESTS, ALL_REQUESTS = "requests alone, a third of alpha", "requests alone, all of alpha"
"""The same without the windows: what harm would be found by the evidence of the requests."""


@dataclass(frozen=True)
class Plan:
    """The grid of simulated cells, and the number of rollouts in each. The field names are keys of the JSON result."""

    rollouts: int
    rates: Sequence[float]
    baselines: Sequence[float]
    nuisances: Sequence[str]
    worse: Sequence[float]
    medians_s: Sequence[float]
    rivals: Sequence[str]
    lasting: Sequence[str]
    """Clumps that last longer than a window."""
    late_s: Sequence[float]
    """How long a candidate is good before it becomes bad."""


@dataclass(frozen=True)
class Outcome:
    """The result of one rule in one cell."""

    rule: str
    rolled_back: float
    """The share of the rollouts that were rolled back."""
    seconds: float | None
    """The median time to roll back; None if fewer than half of the rollouts were rolled back."""
    requests: float | None
    """The median number of the candidate's requests until then."""
    harmed: float | None
    """The mean number of bad responses until then, in excess of stable's error rate."""

    def to_json(self) -> dict[str, Any]:
        """The row of the JSON result."""
        return {
            "rule": self.rule,
            "rolledBack": round(self.rolled_back, 4),
            "seconds": self.seconds,
            "requests": self.requests,
            "harmed": self.harmed,
        }


def outcome(rule: str, first: Ints, counted: Counted, excess: float) -> Outcome:
    """The outcome, from the window in which each rollout was rolled back. `excess` is the true excess error rate."""
    ended = first < WINDOWS
    share = float(ended.mean())
    if share < 0.5:
        return Outcome(rule, share, None, None, None)
    n = counted.candidate_n if counted.candidate_n.ndim == 2 else counted.candidate_n[..., 0]
    spent = n.cumsum(axis=0)[np.minimum(first, WINDOWS - 1), np.arange(n.shape[1])]
    seconds = float(np.median(np.where(ended, (first + 1) * WINDOW_S, np.inf)))
    return Outcome(rule, share, seconds, float(np.median(spent[ended])), round(float(spent.mean()) * excess, 1))


def judged(cell: Cell, counted: Counted, rivals: Sequence[str], *, bare: bool = True) -> list[Outcome]:
    """The outcomes of Fairlead's rules and the other rules on the same counts."""
    excess = max(0.0, cell.bad - cell.baseline)
    ours = rules.evidence(counted, margins=Margins(), shares=(SHARE, 1.0))
    firsts = {OURS: ours.harmed[SHARE], WHOLE: ours.harmed[1.0]}
    firsts |= {REQUESTS: ours.of_requests[SHARE], ALL_REQUESTS: ours.of_requests[1.0]}
    if bare:
        firsts[BARE] = rules.evidence(counted, margins=Margins(floor=0.0, share=0.0), shares=(1.0,)).harmed[1.0]
    firsts |= {name: rules.RIVALS[name](counted) for name in rivals}
    return [outcome(name, first, counted, excess) for name, first in firsts.items()]


def each(cells: Sequence[Cell], row_of: Callable[[Cell], Row]) -> Mapping[str, Callable[[], Row]]:
    return {cell.name: partial(row_of, cell) for cell in cells}


def where(row: Row) -> str:
    return f"{row['rps']:g}/s, {row['baseline']:.1%}"


def row_of_cell(cell: Cell, outcomes: Sequence[Outcome]) -> Row:
    where = {"cell": cell.name, "rps": cell.rps, "baseline": cell.baseline, "bad": cell.bad, "nuisance": cell.nuisance}
    return {**where, "outcomes": [one.to_json() for one in outcomes]}


def of_rule(row: Row, rule: str) -> Row:
    found: Row = next(one for one in row["outcomes"] if one["rule"] == rule)
    return found


def seconds_of(one: Row) -> float:
    return float(one["seconds"] or "inf")


def text_of(one: Row) -> str:
    if one["seconds"] is None:
        return f"{one['rolledBack']:.1%}"
    return f"{one['rolledBack']:.1%}, {one['seconds']:g} s, {one['requests']:g} requests, {one['harmed']:g} harmed"
