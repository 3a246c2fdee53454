"""The gate `share`: whether the candidate's real share of the requests is near its weight.

A weight is a share of the *users* where a header is sticky. One user that makes most of the requests takes them all
along, so a candidate at 5 % may serve 80 % of the requests, or one at 25 % hardly any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Check, Phase, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.window import Window
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.steps import percent

NAME = "share"
FAR = 0.3
"""A share that differs from the weight by more than this is far from it."""
LITTLE, LITTLE_FROM = 1 / 3, 0.1
"""So is one where a version gets less than this part of its weight, and at least `LITTLE_FROM` of all requests less."""
LEAST_REQUESTS = 20
"""With fewer requests nothing is said."""
CHANCE_SIGMAS = 4.0
"""A difference below so many standard deviations of independent draws may be chance."""
RECENT_REQUESTS, RECENT_WINDOWS = 200, 3
"""The hold ends with the newest windows, at least so many, that together have so many requests."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Users' requests, and how many of them were assigned to the candidate."""

    n: int
    candidate: int

    @property
    def share(self) -> float | None:
        """The candidate's share, 0 to 1; None without requests."""
        return self.candidate / self.n if self.n else None


def counted(windows: Sequence[Window]) -> Requests:
    """The requests of the windows: those assigned to the candidate, and stable's own."""
    assigned = sum(one.assigned for one in windows)
    return Requests(n=assigned + sum(one.stable.n for one in windows), candidate=assigned)


def recent(windows: Sequence[Window]) -> Sequence[Window]:
    """The newest windows that have enough requests to judge; all of them where there are too few."""
    with_requests = [one for one in windows if one.assigned or one.stable.n]
    for begin in range(len(with_requests) - RECENT_WINDOWS, 0, -1):
        if counted(with_requests[begin:]).n >= RECENT_REQUESTS:
            return with_requests[begin:]
    return with_requests


def is_far(requests: Requests, weight: int) -> bool:
    """Whether the share is so far from the weight (in 1/10,000) that neither chance nor ordinary users explain it."""
    if requests.share is None or requests.n < LEAST_REQUESTS or not 0 < weight < TOTAL_WEIGHT:
        return False
    wanted = weight / TOTAL_WEIGHT
    apart = abs(requests.share - wanted)
    if apart <= CHANCE_SIGMAS * sqrt(wanted * (1 - wanted) / requests.n):
        return False
    less, its_weight = (requests.share, wanted) if requests.share < wanted else (1 - requests.share, 1 - wanted)
    return apart > FAR or (apart >= LITTLE_FROM and less < LITTLE * its_weight)


def lasts(newest: Requests, whole: Requests, weight: int) -> bool:
    """Whether the newest requests are still at least half as far from the weight as all of the step's."""
    if newest.share is None or whole.share is None:
        return False
    wanted = weight / TOTAL_WEIGHT
    return (newest.share - wanted) / (whole.share - wanted) >= 0.5 if whole.share != wanted else False


def judge_share(situation: Situation) -> Check:
    """Hold while the candidate's share is far from its weight. Never a failure: users cause it, and no version."""
    if situation.head.state.phase is not Phase.CANARY:
        return Check(gate=NAME, verdict=Verdict.PASS, reason="no weight yet")
    windows, weight = situation.counted_windows, situation.weight
    step = counted(windows)
    if step.share is None:
        return Check(gate=NAME, verdict=Verdict.PASS, reason="no requests in this step")
    numbers = {"share": round(step.share, 4), "weight": weight / TOTAL_WEIGHT, "requests": step.n}
    gets = (
        f"{situation.candidate} gets {share_percent(step.share)} of the requests in this step, "
        f"its weight is {percent(weight)}"
    )
    if not (is_far(step, weight) and lasts(counted(recent(windows)), step, weight)):
        return Check(gate=NAME, verdict=Verdict.PASS, reason=gets, numbers=numbers)
    held, setting = f"{gets}: {_cause(situation, step.share)}", situation.strategy.on_inconclusive
    if setting.do == "promote" and situation.observed_s > setting.after:
        after = f"after {format_duration(setting.after)}, and onInconclusive says go on"
        return Check(gate=NAME, verdict=Verdict.PASS, reason=f"{gets}; still so {after}", numbers=numbers)
    return Check(gate=NAME, verdict=Verdict.INCONCLUSIVE, reason=held, numbers=numbers)


def share_percent(share: float) -> str:
    """A share, 0 to 1, as a percentage for people: 0.934 is "93 %"."""
    return f"{100 * share:.1f} %" if 0 < share < 0.01 or 0.99 < share < 1 else f"{100 * share:.0f} %"


def _cause(situation: Situation, share: float) -> str:
    stable, candidate = situation.stable, situation.candidate
    if not situation.ready(stable):
        return f"{stable} has no ready instance"
    if situation.head.table.sticky is None:
        return "no header is sticky, so a gateway follows another table; see its log"
    more, less = (candidate, stable) if share * TOTAL_WEIGHT > situation.weight else (stable, candidate)
    return (
        f"probably one user of {more} makes most of them, or clients wait longer for {less}; "
        'use another sticky header, `sticky: null`, or `role: "off"` for this gate'
    )
