"""The evidence of one gate after one more window. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairlead.contracts.window import GateEvidence
from fairlead.rollout.analysis import multiple_comparisons
from fairlead.rollout.analysis.bets import log_mean
from fairlead.rollout.analysis.comparison import Comparison
from fairlead.rollout.analysis.stored_comparison import State


@dataclass(frozen=True, slots=True)
class Weighed:
    """The stored state, and the logarithms of the evidence: for harm as it counts, for safety, and of the requests."""

    state: State
    harm: float
    safe: float
    requests: float
    """The evidence for harm of the requests alone: more than `harm` while the windows do not confirm it."""
    worse_windows: int = 0
    told_windows: int = 0

    @classmethod
    def of_one(cls, state: State, after: Comparison) -> Weighed:
        """The evidence of one comparison."""
        harm, safe, requests = (float(one) for one in (after.log_harm, after.log_safe, after.log_harm_of_requests))
        return cls(state, harm, safe, requests, *multiple_comparisons.tally(after))

    @classmethod
    def of_several(cls, state: State, after: Comparison, *, safe: float) -> Weighed:
        """The evidence of several comparisons of one gate (`multiple_comparisons`)."""
        harm, requests = multiple_comparisons.log_harm(after), multiple_comparisons.log_harm_of_requests(after)
        return cls(state, float(harm), safe, float(requests), *multiple_comparisons.tally(after))

    def with_another(self, state: State, other: Weighed) -> Weighed:
        """The evidence of this comparison and another one. The mean of two e-processes is one; safety needs both."""
        most = max(self, other, key=lambda one: one.requests)
        harm, requests = (
            float(log_mean(np.array(pair))) for pair in ((self.harm, other.harm), (self.requests, other.requests))
        )
        return Weighed(state, harm, min(self.safe, other.safe), requests, most.worse_windows, most.told_windows)

    def evidence(self, gate: str, settings: str) -> GateEvidence:
        """What a window stores of it."""
        return GateEvidence(
            gate=gate,
            log_harm=self.harm,
            log_safe=self.safe,
            log_unconfirmed=self.requests if self.requests > self.harm else None,
            worse_windows=self.worse_windows,
            told_windows=self.told_windows,
            settings=settings,
            state=dict(self.state),
        )
