"""What goes wrong around a rollout, and what the engine makes of it: the rows of docs/failures.md that need a world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.contracts.action import ActionType
from fairlead.contracts.gateway import Role, key_of
from fairlead.contracts.revision import Cause, Phase, Window
from fairlead.contracts.route import Strategy, VersionRef
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from unit.rollout.admin import Admin
from unit.rollout.stage import START, STEPS, Stage, at_step


@pytest.fixture
def stage() -> Stage:
    """1.1.0 has 5 % of the requests, and two windows were counted."""
    stage = Stage()
    stage.deploy(strategy=Strategy(steps=STEPS, min_requests=1000))
    stage.settle()
    at_step(stage, 500)
    stage.settle(2, 5)
    return stage


def serve(stage: Stage, *, bad: int = 0) -> None:
    """Five seconds of traffic, told by every gateway that answers."""
    stage.serve(stage.ref("1.1.0"), ok=10 - bad, bad=bad)
    stage.serve(stage.ref("1.0.0"), ok=90)
    stage.tick(5)


def newest(stage: Stage) -> Window:
    """The last window, though it led to a revision that took it along."""
    return (stage.store.windows("iris") or stage.head.windows)[-1]


def harm(stage: Stage) -> float:
    return next(one.log_harm for one in newest(stage).evidence if one.gate == "errors")


def counted(stage: Stage) -> int:
    """The candidate's answers in all windows since the head."""
    return sum(window.candidate.n for window in stage.store.windows("iris"))


def condition(stage: Stage, kind: str) -> bool:
    conditions = (stage.store.status("iris") or {})["conditions"]
    return next(bool(one["status"]) for one in conditions if one["type"] == kind)  # type: ignore[attr-defined]


class TestGatewaysAreSilent:
    def test_one_missed_reading_costs_no_evidence(self, stage: Stage) -> None:
        stage.deaf = {"e1", "e2"}
        serve(stage, bad=1)
        assert (newest(stage).gap, counted(stage)) == ("no gateway told its counters", 0)
        stage.deaf = set()
        serve(stage, bad=1)
        assert (newest(stage).gap, newest(stage).candidate.n, newest(stage).candidate.bad) == (None, 40, 4)
        assert harm(stage) > 0

    def test_through_an_outage_the_weight_stays_and_afterwards_it_is_one_window(self, stage: Stage) -> None:
        stage.deaf = {"e1", "e2"}
        for _ in range(60):
            serve(stage)
        assert (stage.head.table.weight, condition(stage, "Counted"), condition(stage, "Ready")) == (500, False, True)
        stage.deaf = set()
        serve(stage)
        made_good = stage.head.windows[-1]
        assert (made_good.gap, made_good.candidate.n, made_good.seconds) == (None, 61 * 20, 5)
        assert (stage.head.cause, stage.head.table.weight) == (Cause.STEP, 2500), "enough was answered meanwhile"

    def test_over_missed_readings_latency_is_not_judged(self, stage: Stage) -> None:
        serve(stage)
        assert newest(stage).latency.candidate
        stage.deaf = {"e1"}
        serve(stage)
        stage.deaf = set()
        serve(stage)
        assert (newest(stage).candidate.n, newest(stage).latency.candidate) == (40, ())

    def test_a_gateway_that_was_restarted_meanwhile_makes_the_outage_no_evidence(self, stage: Stage) -> None:
        stage.deaf = {"e1", "e2"}
        serve(stage, bad=10)
        stage.deaf, stage.since["e2"] = set(), stage.now
        serve(stage, bad=10)
        assert (newest(stage).gap, harm(stage)) == ("gateway e2 was restarted", 0)
        serve(stage, bad=10)
        assert (newest(stage).gap, newest(stage).candidate.n) == (None, 20)

    def test_half_of_them_count_alone_after_one_window_without_evidence(self, stage: Stage) -> None:
        stage.deaf = {"e2"}
        serve(stage, bad=1)
        assert (newest(stage).gap, newest(stage).candidate.n) == ("gateway e2 did not tell its counters", 0)
        serve(stage, bad=1)
        assert (newest(stage).gap, newest(stage).candidate.n) == (None, 10)
        assert harm(stage) > 0

    def test_while_half_of_them_are_silent_a_bad_candidate_still_loses_its_weight(self, stage: Stage) -> None:
        stage.deaf = {"e2"}
        for _ in range(5):
            if stage.head.state.phase is Phase.CANARY:
                serve(stage, bad=5)
        assert (stage.head.cause, stage.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_a_gateway_that_comes_back_is_counted_again_from_its_second_answer_on(self, stage: Stage) -> None:
        stage.deaf = {"e2"}
        for _ in range(3):
            serve(stage)
        stage.deaf = set()
        serve(stage)
        assert newest(stage).gap == "gateway e2 was not counted before"
        serve(stage)
        assert (newest(stage).gap, newest(stage).candidate.n) == (None, 20)

    def test_a_person_rolls_back_while_nothing_can_be_counted(self, stage: Stage) -> None:
        stage.deaf = {"e1", "e2"}
        serve(stage)
        stage.ask(ActionType.ROLLBACK)
        stage.tick()
        assert (stage.head.cause, stage.head.table.weight) == (Cause.ROLLED_BACK, 0)


class TestTheirPageIsNonsense:
    """Over real HTTP, read by the very adapter of the gateways' pages."""

    @pytest.fixture
    def source(self, admin: Admin, stage: Stage) -> Iterator[EnvoyStats]:
        source = EnvoyStats("127.0.0.1", admin.port, name="e1", clock=lambda: stage.now)
        stage.engine = stage.started(metrics=source)
        yield source
        source.close()

    @pytest.mark.usefixtures("source")
    @pytest.mark.parametrize(
        ("good", "nonsense"),
        [
            ("rq_error: 2", "rq_error: NaN"),
            ("rq_error: 2", "rq_error: -"),
            ("server.uptime", "server.up"),
            (None, ""),
            (None, "<html>not found</html>"),
            (None, "{}"),
        ],
    )
    def test_nonsense_is_no_evidence_and_the_next_answer_is(
        self, stage: Stage, admin: Admin, good: str | None, nonsense: str
    ) -> None:
        for at in range(3):
            admin.page = page(stage, requests=10 * at, bad=at)
            serve(stage)
        assert (newest(stage).gap, newest(stage).candidate.n, newest(stage).candidate.bad) == (None, 10, 1)
        before = harm(stage)
        admin.page = admin.page.replace(good, nonsense) if good else nonsense
        serve(stage)
        assert newest(stage).gap == "no gateway told its counters"
        assert (harm(stage), stage.head.table.weight, condition(stage, "Counted")) == (before, 500, False)
        admin.page = page(stage, requests=40, bad=4)
        serve(stage)
        assert (newest(stage).gap, newest(stage).candidate.n, newest(stage).candidate.bad) == (None, 20, 2)


def page(stage: Stage, *, requests: int, bad: int) -> str:
    """A gateway's page after so many requests of the candidate, and nine times as many of stable."""
    table = stage.head.table
    assert table.candidate is not None

    def cluster(role: Role, ref: VersionRef) -> str:
        key = key_of(role, table, ref)
        return f"cluster.{key.role}~{key.namespace}~{key.model}~{key.version}"

    lines = {
        f"{cluster(Role.SPLIT, table.stable)}.upstream_rq_completed": 9 * requests,
        f"{cluster(Role.AGGREGATE, table.candidate)}.upstream_rq_completed": requests,
        f"{cluster(Role.SPLIT, table.candidate)}.endpoint.127.0.0.1_9.rq_success": requests - bad,
        f"{cluster(Role.SPLIT, table.candidate)}.endpoint.127.0.0.1_9.rq_error": bad,
        "server.uptime": round((stage.now - START).total_seconds()),
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


class TestTheClockJumps:
    def test_ahead_nothing_is_held_against_anybody_and_no_weight_rises_for_it(self, stage: Stage) -> None:
        stage.wait(3600)
        serve(stage, bad=1)
        assert newest(stage).candidate.n == 20
        assert (stage.head.table.weight, stage.head.state.phase) == (500, Phase.CANARY)
        assert (stage.store.status("iris") or {})["waiting"] == "step 1 of 3 holds for 20s"

    @pytest.mark.parametrize("back_s", [30, 3600, 86400])
    def test_back_nothing_is_counted_twice_and_the_brake_works_on(self, stage: Stage, back_s: float) -> None:
        stage.wait(-back_s)
        for _ in range(3):
            serve(stage)
        ends = [one.end for one in stage.store.windows("iris")]
        assert ends == sorted(ends)
        assert 0 < counted(stage) <= 3 * 20
        for _ in range(5):
            if stage.head.state.phase is Phase.CANARY:
                serve(stage, bad=5)
        assert (stage.head.cause, stage.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_back_while_the_control_plane_was_away_the_brake_works_on_too(self, stage: Stage) -> None:
        stage.wait(-3600)
        stage.engine = stage.started()
        for _ in range(8):
            if stage.head.state.phase is Phase.CANARY:
                serve(stage, bad=5)
        assert (stage.head.cause, stage.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_back_and_ahead_again_the_windows_still_follow_each_other(self, stage: Stage) -> None:
        for jump in (-600, 1200, -600, 0):
            stage.wait(jump)
            serve(stage)
        windows = stage.store.windows("iris")
        assert all(one.end <= other.start for one, other in zip(windows, windows[1:], strict=False))
