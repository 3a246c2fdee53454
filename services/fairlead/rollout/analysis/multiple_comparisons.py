"""Several comparisons that share one gate: latency at each boundary, and each class in both directions.

**Guarantee.** The mean of e-processes is an e-process, so a gate over J comparisons keeps its alpha without dividing
it: P(mean ever reaches 1/alpha) <= alpha if the candidate is no worse, by more than the margin, in any of them.
Safety must hold in each: the smallest of them is valid for "worse than acceptable somewhere", whichever that is.

Latency: "slower than b" is a Bernoulli variable for every boundary b at which the gateway counts, and being slower
stochastically means being so at some boundary (the two-sample form of Lindon, Sanden & Shirikian 2022, on counts).
Classes: a class may become more frequent or rarer; both are bets, so a label that moved or vanished shows twice.
"""

from __future__ import annotations

import numpy as np

from fairlead.rollout.analysis import comparison
from fairlead.rollout.analysis.bets import Floats, Sample, log_mean
from fairlead.rollout.analysis.comparison import Comparison, Margins


def fresh_latency(shape: tuple[int, ...]) -> Comparison:
    """Before the first window; the last axis is the boundary. Most answers may be slower than one, or none."""
    return comparison.fresh(shape, comparison.UNKNOWN)


def advance_latency(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one window; the last axis of counts and state is the boundary, "bad" is slower than it."""
    return comparison.advance(state, sample, margins)


def advance_classes(state: Comparison, sample: Sample, margins: Margins) -> Comparison:
    """The state after one window; `sample` has the class as last axis, the state twice as many: more, then fewer."""
    return comparison.advance(state, both_ways(sample), margins)


def both_ways(sample: Sample) -> Sample:
    """More of a class, then less of it: the second half has the arms exchanged."""
    there = Sample(*np.broadcast_arrays(*sample))
    return Sample(*(np.concatenate(pair, axis=-1) for pair in zip(there, there.swapped(), strict=True)))


def log_harm(state: Comparison) -> Floats:
    """The evidence for harm anywhere: the mean over the last axis."""
    return log_mean(state.log_harm)


def log_safe(state: Comparison) -> Floats:
    """The evidence for safety everywhere: the least over the last axis."""
    least: Floats = state.log_safe.min(axis=-1)
    return least
