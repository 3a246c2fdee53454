"""A shadow phase in the engine: from the release to the first weight or a rollback, with restarts and two engines."""

from __future__ import annotations

import pytest

from fairlead.contracts.answers import Pairs, ShadowStatus
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import GateSpec, MirrorSpec, ShadowSpec, Step, Strategy
from fairlead.rollout.analysis.counts import EARLY_GAP
from fairlead.rollout.ports import Answer
from unit.rollout.simulated_platform import Platform

SHADOW = Strategy(
    shadow=ShadowSpec(min_duration=10.0, min_pairs=100), steps=(Step(weight=1000, min_duration=3600.0),), min_requests=0
)


@pytest.fixture
def platform() -> Platform:
    """1.1.0 gets mirrored requests beside 1.0.0, and its answers are read."""
    platform = Platform()
    platform.deploy(strategy=SHADOW)
    platform.settle()
    platform.release("1.1.0")
    platform.settle(4)
    assert platform.head.state.phase is Phase.SHADOWING
    assert [str(one.version) for one in platform.head.table.mirrors] == ["1.1.0"]
    return platform


def told(platform: Platform) -> ShadowStatus:
    status = platform.store.status("iris") or {}
    return ShadowStatus.model_validate(status["shadow"])


def counted(platform: Platform) -> int:
    """Pairs in all windows, with those in revisions."""
    since = platform.store.windows("iris")
    taken = [window for one in platform.store.revisions("iris") for window in one.windows]
    return sum(window.pairs.n for window in (*taken, *since))


def mirror(platform: Platform, count: int, label: str = "a") -> None:
    platform.mirror(platform.ref("1.0.0"), platform.ref("1.1.0"), count, label=label)


def test_a_candidate_that_disagrees_never_gets_a_weight(platform: Platform) -> None:
    mirror(platform, 60, "b")
    platform.settle(3, 5)
    assert platform.head.cause is Cause.ROLLED_BACK
    assert "60 of 60 mirrored requests (60 another class)" in platform.head.reason
    assert all(one.table.weight == 0 for one in platform.store.revisions("iris"))
    assert told(platform).compared[0].pairs == Pairs(n=60, class_changed=60)
    assert told(platform).worst[0].kind == "class"


def test_a_candidate_that_agrees_goes_on_when_there_are_enough_pairs(platform: Platform) -> None:
    platform.settle(6, 5)
    assert platform.head.state.phase is Phase.SHADOWING
    mirror(platform, 100)
    platform.settle(3, 5)
    assert (platform.head.state.phase, platform.head.table.weight, platform.head.table.mirrors) == (
        Phase.CANARY,
        1000,
        (),
    )
    assert sum(window.pairs.n for window in platform.head.windows) == 100


def test_answers_from_while_no_engine_ran_are_no_evidence(platform: Platform) -> None:
    platform.engine = platform.started()
    mirror(platform, 100, "b")
    platform.settle(3, 5)
    assert counted(platform) == 0
    mirror(platform, 50)
    platform.settle(2, 5)
    assert counted(platform) == 50


def test_two_engines_that_take_turns_count_no_pair_twice(platform: Platform) -> None:
    first, second = platform.engine, platform.started()
    answered = 0
    for engine in (first, second, first, second, first):
        platform.engine = engine
        for _ in range(3):
            mirror(platform, 5)
            answered += 5
            platform.settle(1, 5)
    assert 0 < counted(platform) <= answered
    answers = {one.request_id for one in platform.answers}
    assert len(answers) == answered


def test_pairs_survive_a_restart_of_the_engine(platform: Platform) -> None:
    mirror(platform, 90)
    platform.settle(2, 5)
    platform.engine = platform.started()
    platform.settle(2, 5)
    mirror(platform, 10)
    platform.settle(3, 5)
    assert platform.head.state.phase is Phase.CANARY


def test_a_new_attempt_begins_with_nothing_counted(platform: Platform) -> None:
    mirror(platform, 60, "b")
    platform.settle(3, 5)
    platform.release("1.2.0")
    platform.settle(4, 5)
    assert platform.head.state.phase is Phase.SHADOWING
    assert (platform.store.status("iris") or {})["shadow"] is None


def test_a_repeated_id_is_no_pair_in_a_later_attempt(platform: Platform) -> None:
    mirror(platform, 30)
    platform.settle(2, 5)
    for version in ("1.2.0", "1.1.0"):
        platform.release(version)
        platform.settle(4, 5)
    assert (platform.head.state.phase, platform.head.state.attempt) == (Phase.SHADOWING, 3)
    platform.answers.extend(platform.answers[:60])
    platform.settle(2, 5)
    assert counted(platform) == 30


def test_a_mirror_without_a_rollout_is_compared_for_people_but_not_judged() -> None:
    platform = Platform()
    platform.deploy(mirrors=(MirrorSpec(version="1.1.0"),))
    platform.settle(8, 5)
    mirror(platform, 30, "b")
    platform.settle(2, 5)
    assert told(platform).compared[0].pairs == Pairs(n=30, class_changed=30)
    assert platform.head.state.phase is Phase.STABLE


def test_another_mix_of_classes_is_rolled_back() -> None:
    platform = Platform()
    gates = (GateSpec(name="classes"),)
    platform.deploy(strategy=Strategy(steps=(Step(weight=1000, min_duration=3600.0),), min_requests=0, gates=gates))
    platform.settle()
    platform.release("1.1.0")
    platform.settle(5)
    for _ in range(40):
        for at in range(100):
            stable, candidate = ("a" if at % 2 else "b"), ("a" if at % 10 else "b")
            platform.answers += an_answer(platform, "1.0.0", stable) + (
                an_answer(platform, "1.1.0", candidate) if at < 40 else []
            )
        platform.settle(1, 5)
    rolled_back = [one for one in platform.store.revisions("iris") if one.cause is Cause.ROLLED_BACK]
    assert [one.reason.partition(": ")[2].partition(":")[0] for one in rolled_back] == ["classes"]


def an_answer(platform: Platform, version: str, label: str) -> list[Answer]:
    return [Answer(f"{len(platform.answers):032x}", platform.ref(version), False, label=label)]


POLLED_S = 1.0
"""How often answer records are read at least."""
TICK_S = 0.25


@pytest.mark.parametrize("rate", [20, 100, 200, 400])
def test_swapped_classes_are_refused_within_five_hundred_pairs_however_many_requests_there_are(rate: int) -> None:
    platform = Platform()
    platform.deploy(strategy=SHADOW.model_copy(update={"preset": "strict"}))
    platform.settle()
    platform.release("1.1.0")
    platform.settle(4)
    platform.settle(5, 1)  # in the middle of a window
    answered = 0
    while platform.head.cause is not Cause.ROLLED_BACK and answered < 2000:
        for _ in range(round(rate * POLLED_S)):
            answered += 1
            mirror(platform, 1, "a" if answered % 3 == 0 else "b")
        for _ in range(round(POLLED_S / TICK_S)):
            platform.tick(TICK_S)
    assert counted(platform) <= 500
    assert all(one.table.weight == 0 for one in platform.store.revisions("iris"))
    newest = platform.head.windows[-1]
    (evidence,) = [one for one in newest.evidence if one.gate == "agreement"]
    (check,) = [one for one in platform.head.evidence if one.gate == "agreement"]
    assert check.numbers["log_harm"] == pytest.approx(evidence.log_harm, abs=1e-3)
    assert evidence.log_harm >= check.numbers["harm_at"]
    assert (check.numbers["pairs"], check.numbers["differ"]) == (counted(platform), counted_differ(platform))


def counted_differ(platform: Platform) -> int:
    return sum(window.pairs.differ for one in platform.store.revisions("iris") for window in one.windows)


def test_an_early_window_takes_no_counts_of_the_gateways(platform: Platform) -> None:
    signal = (GateSpec(name="agreement", role="signal"),)
    platform.release("1.0.0")
    platform.change(strategy=SHADOW.model_copy(update={"gates": signal}))
    platform.settle(2, 5)
    platform.release("1.1.0")
    platform.settle(4, 5)
    platform.serve(platform.ref("1.0.0"), ok=40)
    mirror(platform, 60, "b")
    platform.tick(1)
    early = platform.store.windows("iris")[-1]
    assert (early.gap, early.pairs.n, early.stable.n) == (EARLY_GAP, 60, 0)
    told = (platform.store.status("iris") or {})["conditions"]
    assert [one["status"] for one in told if one["type"] == "Counted"] == [True]  # type: ignore[attr-defined]
    platform.serve(platform.ref("1.0.0"), ok=10)
    mirror(platform, 10, "b")
    platform.tick(4)
    late = platform.store.windows("iris")[-1]
    assert (late.gap, late.pairs.n, late.stable.n, late.start) == (None, 10, 2 * 50, early.end)
    mirror(platform, 10, "b")
    platform.tick(1)
    assert platform.store.windows("iris")[-1] == late, "a candidate that was rejected already ends no further window"


def test_pairs_that_do_not_decide_wait_for_the_windows_end(platform: Platform) -> None:
    before = len(platform.store.windows("iris"))
    for _ in range(3):
        mirror(platform, 20)
        platform.tick(1)
    assert len(platform.store.windows("iris")) <= before + 1
    platform.settle(1, 5)
    assert counted(platform) == 60


def test_answers_of_a_deleted_route_are_not_kept(platform: Platform) -> None:
    mirror(platform, 60, "b")
    platform.settle(3, 5)
    matcher = platform.engine._observer._answer_windows._matcher
    assert matcher.status("iris") is not None
    platform.store.delete_route("iris")
    platform.tick(1)
    assert matcher.status("iris") is None
