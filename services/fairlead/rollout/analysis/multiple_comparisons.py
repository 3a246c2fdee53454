"""Several comparisons in one gate: latency at each boundary, and each class in both directions.

**Guarantee.** The mean of e-processes is an e-process, so a gate over J comparisons need not divide its alpha:
P(mean ever reaches 1/alpha) <= alpha if in none of them the candidate is worse by more than the margin. Safety must
hold in each comparison: the smallest e-value is valid against "worse than acceptable in at least one of them".

Latency: "slower than b" is a Bernoulli variable for every boundary b at which the gateway counts. A stochastically
slower version is slower at some boundary (the two-sample form of Lindon, Sanden & Shirikian 2022, on counts).
Classes: a class may become more frequent or rarer. Both are bets, so a label that moved or vanished counts twice.
"""

from __future__ import annotations

import numpy as np

from fairlead.rollout.analysis import comparison, window_bets
from fairlead.rollout.analysis.bets import Floats, Sample, log_mean
from fairlead.rollout.analysis.comparison import Comparison, Margins


def fresh_latency(shape: tuple[int, ...]) -> Comparison:
    """The state before the first window; the last axis is the boundary. Any share of answers may be slower than it."""
    return comparison.fresh(shape, comparison.UNKNOWN)


def advance_latency(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one window. The last axis of counts and state is the boundary; "bad" means slower than it."""
    return comparison.advance(state, sample, margins)


def advance_classes(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one window. The last axis of `sample` is the class; the state has it twice: more, then fewer."""
    return comparison.advance(state, both_ways(sample), margins)


def both_ways(sample: Sample) -> Sample:
    """Each class twice: first for more of it, then, with the versions exchanged, for less of it."""
    there = Sample(*np.broadcast_arrays(*sample))
    return Sample(*(np.concatenate(pair, axis=-1) for pair in zip(there, there.swapped(), strict=True)))


def log_harm(state: Comparison) -> Floats:
    """The evidence for harm in any comparison: the mean over the last axis."""
    return log_mean(state.log_harm)


def log_harm_of_requests(state: Comparison) -> Floats:
    """The same before the windows confirm it."""
    return log_mean(state.log_harm_of_requests)


def tally(state: Comparison) -> tuple[int, int]:
    """`window_bets.tally` of the comparison with the most evidence. Not for arrays of rollouts."""
    most = int(state.log_harm_of_requests.argmax())
    worse, told = (int(counts.ravel()[most]) for counts in window_bets.tally(state.windows))
    return worse, told


def log_safe(state: Comparison) -> Floats:
    """The evidence for safety in every comparison: the minimum over the last axis."""
    least: Floats = state.log_safe.min(axis=-1)
    return least
