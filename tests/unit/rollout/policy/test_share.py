"""The gate `share`: when the candidate's real share is too far from its weight, and when users are only users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.gates import GateSpec, OnInconclusive
from fairlead.contracts.revision import Cause, Check, Revision, Verdict
from fairlead.contracts.window import Counts, Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.gates import judge
from fairlead.rollout.policy.share import Requests, is_far, judge_share
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.report import report
from unit.rollout.policy.builders import STEPS, V2, a_route, a_strategy, canary, later, preparing, seen

HALF = (*STEPS, {"weight": 5000})


def windows(counts: Sequence[tuple[int, int]], weight: int = 5000, *, begin: float = 0) -> tuple[Window, ...]:
    """Windows of five seconds, each with the requests of the candidate and those of stable."""
    return tuple(
        Window(
            start=later(begin + 5 * at),
            end=later(begin + 5 * at + 5),
            weight=weight,
            ready=1,
            assigned=candidate,
            candidate=Counts(n=candidate),
            stable=Counts(n=stable),
        )
        for at, (candidate, stable) in enumerate(counts)
    )


def situation(
    counted: tuple[Window, ...], weight: int = 5000, *, head: Revision | None = None, **strategy: Any
) -> Situation:
    route = a_route(strategy=a_strategy(**{"steps": HALF, **strategy}))
    end = max((one.end for one in counted), default=later(0))
    return Situation(
        route, head or canary(weight), seen((end - later(0)).total_seconds(), windows=counted, since_window_s=0)
    )


def checked(counted: tuple[Window, ...], weight: int = 5000, **strategy: Any) -> Check:
    return judge_share(situation(counted, weight, **strategy))


def of_users(
    rates: np.ndarray, weight: int, rng: np.random.Generator, *, seconds: int = 60, per_second: float = 20
) -> tuple[Window, ...]:
    """What the gateways count of users that are sticky: each user's requests all go to the version it drew."""
    drawn = rng.random(len(rates)) < weight / 10_000
    candidate = rates @ drawn / rates.sum()
    n = rng.poisson(5 * per_second, seconds // 5)
    given = rng.binomial(n, candidate)
    return windows([(int(one), int(every - one)) for one, every in zip(given, n, strict=True)], weight)


def zipf(users: int, exponent: float = 1.0) -> np.ndarray:
    return 1 / np.arange(1, users + 1) ** exponent


def one_heavy(users: int, part: float) -> np.ndarray:
    """`part` of the requests are of one user."""
    others = zipf(users)
    return np.append(part, (1 - part) * others / others.sum())


def test_a_share_near_its_weight_passes_and_is_told() -> None:
    check = checked(windows([(52, 48)] * 6))
    assert (check.verdict, check.reason) == (
        Verdict.PASS,
        "1.1.0 gets 52 % of the requests in this step, its weight is 50 %",
    )
    assert check.numbers == {"share": 0.52, "weight": 0.5, "requests": 600}


@pytest.mark.parametrize("rest", [1, 30, 1000])
@pytest.mark.parametrize("weight", [500, 2500, 5000])
def test_one_user_with_80_percent_of_the_requests_holds_where_it_draws_the_candidate(weight: int, rest: int) -> None:
    rng = np.random.default_rng(weight + rest)
    held = 0
    for _ in range(200):
        others = of_users(zipf(rest), weight, rng)
        counts = [(one.assigned + 4 * (one.assigned + one.stable.n), one.stable.n) for one in others]
        held += checked(windows(counts, weight), weight).verdict is Verdict.INCONCLUSIVE
    assert held == 200


@pytest.mark.parametrize("rest", [30, 1000])
@pytest.mark.parametrize("weight", [2500, 5000])
def test_the_same_user_holds_where_it_draws_stable(weight: int, rest: int) -> None:
    rng = np.random.default_rng(weight + rest)
    held = 0
    for _ in range(200):
        others = of_users(zipf(rest), weight, rng)
        counts = [(one.assigned, one.stable.n + 4 * (one.assigned + one.stable.n)) for one in others]
        held += checked(windows(counts, weight), weight).verdict is Verdict.INCONCLUSIVE
    assert held >= (195 if rest == 1000 else 120)


@pytest.mark.parametrize("weight", [100, 500, 1000, 2500, 5000, 7500])
@pytest.mark.parametrize("users", [1_000, 10_000])
def test_ordinary_users_of_whom_few_make_much_traffic_do_not_hold(users: int, weight: int) -> None:
    rng = np.random.default_rng(users + weight)
    held = sum(checked(of_users(zipf(users), weight, rng), weight).verdict is not Verdict.PASS for _ in range(500))
    assert held <= 1


@given(st.integers(1, 400), st.sampled_from([100, 500, 1000, 1600, 2500, 5000, 9000]))
def test_requests_that_are_drawn_one_by_one_are_far_apart_less_than_once_in_a_thousand_times(
    n: int, weight: int
) -> None:
    p = weight / 10_000
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    chances = np.exp(logs[n] - logs - logs[::-1] + np.arange(n + 1) * np.log(p) + np.arange(n, -1, -1) * np.log(1 - p))
    far = sum(chances[k] for k in range(n + 1) if is_far(Requests(n=n, candidate=k), weight))
    assert far < 0.001


def test_the_reason_says_which_way_and_what_to_do() -> None:
    more, less = checked(windows([(93, 7)] * 6)), checked(windows([(7, 93)] * 6))
    assert more.reason == (
        "1.1.0 gets 93 % of the requests in this step, its weight is 50 %: probably one user of 1.1.0 makes most of "
        'them, or clients wait longer for 1.0.0; use another sticky header, `sticky: null`, or `role: "off"` for this '
        "gate"
    )
    assert "one user of 1.0.0 makes most of them, or clients wait longer for 1.1.0" in less.reason


def test_without_a_ready_instance_of_stable_no_user_is_blamed() -> None:
    here = situation(windows([(93, 0)] * 6))
    dead = Situation(here.route, here.head, seen(30, windows=here.observation.windows, ready={V2: 1}))
    assert judge_share(dead).reason.endswith("its weight is 50 %: 1.0.0 has no ready instance")


def test_the_weight_does_not_rise_while_the_share_is_far_from_it() -> None:
    far, near = (situation(windows([counts] * 8)) for counts in ((93, 7), (52, 48)))
    held, rises = (decide(one.route, one.head, one.observation, ()) for one in (far, near))
    assert held.next is None
    assert held.waiting.startswith("share: 1.1.0 gets 93 % of the requests")
    assert rises.next is not None
    assert rises.next.cause is Cause.PROMOTED


def test_the_hold_ends_when_the_newest_requests_are_near_the_weight() -> None:
    heavy = [(95, 5)] * 20
    assert checked(windows([*heavy, (50, 50)])).verdict is Verdict.INCONCLUSIVE
    assert checked(windows([*heavy, (50, 50), (50, 50), (50, 50)])).verdict is Verdict.PASS


def test_one_window_without_the_heavy_user_does_not_end_the_hold() -> None:
    assert checked(windows([*[(950, 50)] * 6, (10, 10)])).verdict is Verdict.INCONCLUSIVE


def test_windows_of_another_step_and_gaps_do_not_count() -> None:
    earlier = windows([(95, 5)] * 6, 2500, begin=-60)
    gap = Window(start=later(0), end=later(5), weight=5000, ready=1, gap="a gateway restarted")
    assert checked((*earlier, gap)).reason == "no requests in this step"


def test_before_the_first_weight_nothing_is_held() -> None:
    assert judge_share(situation((), head=preparing())).verdict is Verdict.PASS


@pytest.mark.parametrize("do", ["hold", "rollback"])
@pytest.mark.parametrize("role", ["signal", "guard"])
def test_a_far_share_never_rolls_back(role: str, do: str) -> None:
    gates = (GateSpec.model_validate({"name": "share", "role": role}),)
    here = situation(
        windows([(93, 7)] * 10), gates=gates, on_inconclusive=OnInconclusive.model_validate({"after": 1.0, "do": do})
    )
    decision = decide(here.route, here.head, here.observation, ())
    assert decision.next is None
    assert decision.waiting.startswith("share: ")


def test_on_inconclusive_promote_ends_the_hold() -> None:
    here = situation(windows([(93, 7)] * 10), on_inconclusive=OnInconclusive(after=45.0, do="promote"))
    check = judge_share(here)
    assert check.verdict is Verdict.PASS
    assert check.reason.endswith("still so after 45s, and onInconclusive says go on")


def test_the_gate_can_be_switched_off() -> None:
    here = situation(windows([(93, 7)] * 10), gates=(GateSpec(name="share", role="off"),))
    assert "share" not in [one.check.gate for one in judge(here)]
    assert decide(here.route, here.head, here.observation, ()).next is not None


@pytest.mark.parametrize("name", ["ready", "smoke", "acknowledged", "capacity"])
def test_gates_that_every_step_needs_cannot_be_switched_off(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be off"):
        GateSpec.model_validate({"name": name, "role": "off"})


def test_the_status_has_the_share_beside_the_weight() -> None:
    here = situation(windows([(93, 7)] * 6))
    status = report(here.route, here.head, here.observation, decide(here.route, here.head, here.observation, ()))
    assert (status["weight"], status["share"]) == (5000, 9300)
