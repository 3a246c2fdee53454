"""Faults around a rollout and the engine's reaction: rows of docs/failures.md, on a simulated platform."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.contracts.action import ActionType
from fairlead.contracts.gateway import Role, key_of
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import Strategy, VersionRef
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from unit.rollout.admin_page import AdminPage
from unit.rollout.simulated_platform import START, STEPS, Platform, at_step


@pytest.fixture
def platform() -> Platform:
    """1.1.0 has 5 % of the requests, and two windows are counted."""
    platform = Platform()
    platform.deploy(strategy=Strategy(steps=STEPS, min_requests=1000))
    platform.settle()
    at_step(platform, 500)
    platform.settle(2, 5)
    return platform


def serve(platform: Platform, *, bad: int = 0) -> None:
    """Five seconds of traffic, counted by every reachable gateway."""
    platform.serve(platform.ref("1.1.0"), ok=10 - bad, bad=bad)
    platform.serve(platform.ref("1.0.0"), ok=90)
    platform.tick(5)


def newest(platform: Platform) -> Window:
    """The last window, also if a new revision already stores it."""
    return (platform.store.windows("iris") or platform.head.windows)[-1]


def harm(platform: Platform) -> float:
    return next(one.log_harm for one in newest(platform).evidence if one.gate == "errors")


def counted(platform: Platform) -> int:
    """The candidate's answers in all windows since the head."""
    return sum(window.candidate.n for window in platform.store.windows("iris"))


def condition(platform: Platform, kind: str) -> bool:
    conditions = (platform.store.status("iris") or {})["conditions"]
    return next(bool(one["status"]) for one in conditions if one["type"] == kind)  # type: ignore[attr-defined]


class TestGatewaysAreSilent:
    def test_one_missed_reading_costs_no_evidence(self, platform: Platform) -> None:
        platform.unreachable = {"e1", "e2"}
        serve(platform, bad=1)
        assert (newest(platform).gap, counted(platform)) == ("no gateway told its counters", 0)
        platform.unreachable = set()
        serve(platform, bad=1)
        assert (newest(platform).gap, newest(platform).candidate.n, newest(platform).candidate.bad) == (None, 40, 4)
        assert harm(platform) > 0

    def test_through_an_outage_the_weight_stays_and_afterwards_it_is_one_window(self, platform: Platform) -> None:
        platform.unreachable = {"e1", "e2"}
        for _ in range(60):
            serve(platform)
        assert (platform.head.table.weight, condition(platform, "Counted")) == (500, False)
        platform.unreachable = set()
        serve(platform)
        recovered = platform.head.windows[-1]
        assert (recovered.gap, recovered.candidate.n, recovered.seconds) == (None, 61 * 20, 5)
        assert (platform.head.cause, platform.head.table.weight) == (Cause.STEP, 2500), "enough was answered meanwhile"

    def test_over_missed_readings_latency_is_not_judged(self, platform: Platform) -> None:
        serve(platform)
        assert newest(platform).latency.candidate
        platform.unreachable = {"e1"}
        serve(platform)
        platform.unreachable = set()
        serve(platform)
        assert (newest(platform).candidate.n, newest(platform).latency.candidate) == (40, ())

    def test_a_gateway_that_was_restarted_meanwhile_makes_the_outage_no_evidence(self, platform: Platform) -> None:
        platform.unreachable = {"e1", "e2"}
        serve(platform, bad=10)
        platform.unreachable, platform.since["e2"] = set(), platform.now
        serve(platform, bad=10)
        assert (newest(platform).gap, harm(platform)) == ("gateway e2 was restarted", 0)
        serve(platform, bad=10)
        assert (newest(platform).gap, newest(platform).candidate.n) == (None, 20)

    def test_half_of_them_count_alone_after_one_window_without_evidence(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        serve(platform, bad=1)
        assert (newest(platform).gap, newest(platform).candidate.n) == ("gateway e2 did not tell its counters", 0)
        serve(platform, bad=1)
        assert (newest(platform).gap, newest(platform).candidate.n) == (None, 10)
        assert harm(platform) > 0

    def test_while_half_of_them_are_silent_a_bad_candidate_still_loses_its_weight(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        for _ in range(5):
            if platform.head.state.phase is Phase.CANARY:
                serve(platform, bad=5)
        assert (platform.head.cause, platform.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_a_gateway_that_comes_back_is_counted_again_from_its_second_answer_on(self, platform: Platform) -> None:
        platform.unreachable = {"e2"}
        for _ in range(3):
            serve(platform)
        platform.unreachable = set()
        serve(platform)
        assert newest(platform).gap == "gateway e2 was not counted before"
        serve(platform)
        assert (newest(platform).gap, newest(platform).candidate.n) == (None, 20)

    def test_a_person_rolls_back_while_nothing_can_be_counted(self, platform: Platform) -> None:
        platform.unreachable = {"e1", "e2"}
        serve(platform)
        platform.ask(ActionType.ROLLBACK)
        platform.tick()
        assert (platform.head.cause, platform.head.table.weight) == (Cause.ROLLED_BACK, 0)


class TestGatewayPageIsInvalid:
    """Over real HTTP, read by the real adapter."""

    @pytest.fixture
    def source(self, admin: AdminPage, platform: Platform) -> Iterator[EnvoyStats]:
        source = EnvoyStats("127.0.0.1", admin.port, name="e1", clock=lambda: platform.now)
        platform.engine = platform.started(metrics=source)
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
        self, platform: Platform, admin: AdminPage, good: str | None, nonsense: str
    ) -> None:
        for at in range(3):
            admin.page = page(platform, requests=10 * at, bad=at)
            serve(platform)
        assert (newest(platform).gap, newest(platform).candidate.n, newest(platform).candidate.bad) == (None, 10, 1)
        before = harm(platform)
        admin.page = admin.page.replace(good, nonsense) if good else nonsense
        serve(platform)
        assert newest(platform).gap == "no gateway told its counters"
        assert (harm(platform), platform.head.table.weight, condition(platform, "Counted")) == (before, 500, False)
        admin.page = page(platform, requests=40, bad=4)
        serve(platform)
        assert (newest(platform).gap, newest(platform).candidate.n, newest(platform).candidate.bad) == (None, 20, 2)


def page(platform: Platform, *, requests: int, bad: int) -> str:
    """A gateway's page after this many requests of the candidate, and nine times as many of stable."""
    table = platform.head.table
    assert table.candidate is not None

    def cluster(role: Role, ref: VersionRef) -> str:
        key = key_of(role, table, ref)
        return f"cluster.{key.role}~{key.namespace}~{key.model}~{key.version}"

    lines = {
        f"{cluster(Role.SPLIT, table.stable)}.upstream_rq_completed": 9 * requests,
        f"{cluster(Role.AGGREGATE, table.candidate)}.upstream_rq_completed": requests,
        f"{cluster(Role.SPLIT, table.candidate)}.endpoint.127.0.0.1_9.rq_success": requests - bad,
        f"{cluster(Role.SPLIT, table.candidate)}.endpoint.127.0.0.1_9.rq_error": bad,
        "server.uptime": round((platform.now - START).total_seconds()),
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


class TestClockJumps:
    def test_a_jump_ahead_is_no_evidence_of_harm_and_raises_no_weight(self, platform: Platform) -> None:
        platform.wait(3600)
        serve(platform, bad=1)
        assert newest(platform).candidate.n == 20
        assert (platform.head.table.weight, platform.head.state.phase) == (500, Phase.CANARY)
        assert (platform.store.status("iris") or {})["waiting"] == "step 1 of 3 holds for 20s"

    @pytest.mark.parametrize("back_s", [30, 3600, 86400])
    def test_a_jump_back_counts_nothing_twice_and_the_rollback_guard_still_works(
        self, platform: Platform, back_s: float
    ) -> None:
        platform.wait(-back_s)
        for _ in range(3):
            serve(platform)
        ends = [one.end for one in platform.store.windows("iris")]
        assert ends == sorted(ends)
        assert 0 < counted(platform) <= 3 * 20
        for _ in range(5):
            if platform.head.state.phase is Phase.CANARY:
                serve(platform, bad=5)
        assert (platform.head.cause, platform.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_a_jump_back_while_the_control_plane_was_down_leaves_the_rollback_guard_working(
        self, platform: Platform
    ) -> None:
        platform.wait(-3600)
        platform.engine = platform.started()
        for _ in range(8):
            if platform.head.state.phase is Phase.CANARY:
                serve(platform, bad=5)
        assert (platform.head.cause, platform.head.table.weight) == (Cause.ROLLED_BACK, 0)

    def test_after_jumps_back_and_ahead_windows_do_not_overlap(self, platform: Platform) -> None:
        for jump in (-600, 1200, -600, 0):
            platform.wait(jump)
            serve(platform)
        windows = platform.store.windows("iris")
        assert all(one.end <= other.start for one, other in zip(windows, windows[1:], strict=False))
