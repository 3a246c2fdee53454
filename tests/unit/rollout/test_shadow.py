"""A shadow as the engine leads it: from the release to the first weight or back, across restarts and other engines."""

from __future__ import annotations

import pytest

from fairlead.contracts.answers import Pairs, ShadowStatus
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import GateSpec, MirrorSpec, ShadowSpec, Step, Strategy
from fairlead.rollout.analysis.counts import EARLY
from fairlead.rollout.ports import Answer
from unit.rollout.stage import Stage

SHADOW = Strategy(
    shadow=ShadowSpec(min_duration=10.0, min_pairs=100), steps=(Step(weight=1000, min_duration=3600.0),), min_requests=0
)


@pytest.fixture
def stage() -> Stage:
    """1.1.0 is shadowed beside 1.0.0, and is listened to."""
    stage = Stage()
    stage.deploy(strategy=SHADOW)
    stage.settle()
    stage.release("1.1.0")
    stage.settle(4)
    assert stage.head.state.phase is Phase.SHADOWING
    assert [str(one.version) for one in stage.head.table.mirrors] == ["1.1.0"]
    return stage


def told(stage: Stage) -> ShadowStatus:
    status = stage.store.status("iris") or {}
    return ShadowStatus.model_validate(status["shadow"])


def counted(stage: Stage) -> int:
    """Pairs in the windows of the attempt, those in the ledger included."""
    since = stage.store.windows("iris")
    taken = [window for one in stage.store.revisions("iris") for window in one.windows]
    return sum(window.pairs.n for window in (*taken, *since))


def mirror(stage: Stage, count: int, label: str = "a") -> None:
    stage.mirror(stage.ref("1.0.0"), stage.ref("1.1.0"), count, label=label)


def test_a_candidate_that_answers_otherwise_never_has_a_weight(stage: Stage) -> None:
    mirror(stage, 60, "b")
    stage.settle(3, 5)
    assert stage.head.cause is Cause.ROLLED_BACK
    assert "60 of 60 mirrored requests (60 another class)" in stage.head.reason
    assert all(one.table.weight == 0 for one in stage.store.revisions("iris"))
    assert told(stage).compared[0].pairs == Pairs(n=60, class_changed=60)
    assert told(stage).worst[0].kind == "class"


def test_one_that_agrees_goes_on_when_there_are_pairs_enough(stage: Stage) -> None:
    stage.settle(6, 5)
    assert stage.head.state.phase is Phase.SHADOWING
    mirror(stage, 100)
    stage.settle(3, 5)
    assert (stage.head.state.phase, stage.head.table.weight, stage.head.table.mirrors) == (Phase.CANARY, 1000, ())
    assert sum(window.pairs.n for window in stage.head.windows) == 100


def test_what_was_said_while_no_engine_ran_is_no_evidence(stage: Stage) -> None:
    stage.engine = stage.started()
    mirror(stage, 100, "b")
    stage.settle(3, 5)
    assert counted(stage) == 0
    mirror(stage, 50)
    stage.settle(2, 5)
    assert counted(stage) == 50


def test_two_engines_that_take_turns_count_no_pair_twice(stage: Stage) -> None:
    first, second = stage.engine, stage.started()
    said = 0
    for engine in (first, second, first, second, first):
        stage.engine = engine
        for _ in range(3):
            mirror(stage, 5)
            said += 5
            stage.settle(1, 5)
    assert 0 < counted(stage) <= said
    spoken = {one.request_id for one in stage.spoken}
    assert len(spoken) == said


def test_pairs_survive_a_restart_and_the_worst_are_told_anew(stage: Stage) -> None:
    mirror(stage, 90)
    stage.settle(2, 5)
    stage.engine = stage.started()
    stage.settle(2, 5)
    mirror(stage, 10)
    stage.settle(3, 5)
    assert stage.head.state.phase is Phase.CANARY


def test_a_new_attempt_begins_with_nothing_counted(stage: Stage) -> None:
    mirror(stage, 60, "b")
    stage.settle(3, 5)
    stage.release("1.2.0")
    stage.settle(4, 5)
    assert stage.head.state.phase is Phase.SHADOWING
    assert (stage.store.status("iris") or {})["shadow"] is None


def test_an_id_that_comes_again_is_no_pair_of_a_later_attempt_either(stage: Stage) -> None:
    mirror(stage, 30)
    stage.settle(2, 5)
    for version in ("1.2.0", "1.1.0"):
        stage.release(version)
        stage.settle(4, 5)
    assert (stage.head.state.phase, stage.head.state.attempt) == (Phase.SHADOWING, 3)
    stage.spoken.extend(stage.spoken[:60])
    stage.settle(2, 5)
    assert counted(stage) == 30


def test_a_mirror_at_rest_is_compared_for_people_and_judged_by_nobody() -> None:
    stage = Stage()
    stage.deploy(mirrors=(MirrorSpec(version="1.1.0"),))
    stage.settle(8, 5)
    mirror(stage, 30, "b")
    stage.settle(2, 5)
    assert told(stage).compared[0].pairs == Pairs(n=30, class_changed=30)
    assert stage.head.state.phase is Phase.STABLE


def test_another_mix_of_classes_takes_the_weight_back() -> None:
    stage = Stage()
    gates = (GateSpec(name="classes"),)
    stage.deploy(strategy=Strategy(steps=(Step(weight=1000, min_duration=3600.0),), min_requests=0, gates=gates))
    stage.settle()
    stage.release("1.1.0")
    stage.settle(5)
    for _ in range(40):
        for at in range(100):
            stable, candidate = ("a" if at % 2 else "b"), ("a" if at % 10 else "b")
            stage.spoken += speak(stage, "1.0.0", stable) + (speak(stage, "1.1.0", candidate) if at < 40 else [])
        stage.settle(1, 5)
    rolled_back = [one for one in stage.store.revisions("iris") if one.cause is Cause.ROLLED_BACK]
    assert [one.reason.partition(": ")[2].partition(":")[0] for one in rolled_back] == ["classes"]


def speak(stage: Stage, version: str, label: str) -> list[Answer]:
    return [Answer(f"{len(stage.spoken):032x}", stage.ref(version), False, label=label)]


POLLED_S = 1.0
"""How often rings are read at least."""
LOOKS_S = 0.25


@pytest.mark.parametrize("rate", [20, 100, 200, 400])
def test_swapped_classes_are_refused_within_five_hundred_pairs_however_many_requests_there_are(rate: int) -> None:
    stage = Stage()
    stage.deploy(strategy=SHADOW.model_copy(update={"preset": "strict"}))
    stage.settle()
    stage.release("1.1.0")
    stage.settle(4)
    stage.settle(5, 1)  # in the middle of a window
    said = 0
    while stage.head.cause is not Cause.ROLLED_BACK and said < 2000:
        for _ in range(round(rate * POLLED_S)):
            said += 1
            mirror(stage, 1, "a" if said % 3 == 0 else "b")
        for _ in range(round(POLLED_S / LOOKS_S)):
            stage.tick(LOOKS_S)
    assert counted(stage) <= 500
    assert all(one.table.weight == 0 for one in stage.store.revisions("iris"))
    newest = stage.head.windows[-1]
    (evidence,) = [one for one in newest.evidence if one.gate == "agreement"]
    (check,) = [one for one in stage.head.evidence if one.gate == "agreement"]
    assert check.numbers["log_harm"] == pytest.approx(evidence.log_harm, abs=1e-3)
    assert evidence.log_harm >= check.numbers["harm_at"]
    assert (check.numbers["pairs"], check.numbers["differ"]) == (counted(stage), counted_differ(stage))


def counted_differ(stage: Stage) -> int:
    return sum(window.pairs.differ for one in stage.store.revisions("iris") for window in one.windows)


def test_a_window_that_ends_early_takes_nothing_from_what_gateways_count(stage: Stage) -> None:
    signal = (GateSpec(name="agreement", role="signal"),)
    stage.change(strategy=SHADOW.model_copy(update={"gates": signal}))
    stage.settle(2, 5)
    stage.serve(stage.ref("1.0.0"), ok=40)
    mirror(stage, 60, "b")
    stage.tick(1)
    early = stage.store.windows("iris")[-1]
    assert (early.gap, early.pairs.n, early.stable.n) == (EARLY, 60, 0)
    told = (stage.store.status("iris") or {})["conditions"]
    assert [one["status"] for one in told if one["type"] == "Counted"] == [True]  # type: ignore[attr-defined]
    stage.serve(stage.ref("1.0.0"), ok=10)
    mirror(stage, 10, "b")
    stage.tick(4)
    late = stage.store.windows("iris")[-1]
    assert (late.gap, late.pairs.n, late.stable.n, late.start) == (None, 10, 2 * 50, early.end)
    mirror(stage, 10, "b")
    stage.tick(1)
    assert stage.store.windows("iris")[-1] == late, "what is refused already is not refused again"


def test_pairs_that_do_not_decide_wait_for_the_windows_end(stage: Stage) -> None:
    before = len(stage.store.windows("iris"))
    for _ in range(3):
        mirror(stage, 20)
        stage.tick(1)
    assert len(stage.store.windows("iris")) <= before + 1
    stage.settle(1, 5)
    assert counted(stage) == 60
