"""Faults between gateways, Prometheus and Fairlead: rows of docs/failures.md, through the adapter and over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.action import ActionType
from fairlead.contracts.prometheus import PrometheusSettings
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import Strategy
from fairlead.contracts.window import Window
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.prometheus_api import PrometheusApi
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.ports import Series
from fairlead.rollout.reconcile import Engine
from unit.rollout.recorded_prometheus import RecordedPrometheus, serving
from unit.rollout.simulated_platform import STEPS, Platform

COMPLETED = "envoy_cluster_upstream_rq_completed"


class InProcess(PrometheusApi):
    """The same answers without a socket, for thousands of ticks."""

    def __init__(self, recorded: RecordedPrometheus) -> None:
        super().__init__(PrometheusSettings(url="http://127.0.0.1:9"))
        self._recorded = recorded

    def now(self) -> datetime:
        if self._recorded.silent:
            raise Unavailable("no connection")
        return self._recorded.now

    def samples(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        span = round((until - since).total_seconds() * 1000)
        found = self._recorded.answer(f"{selector}[{span}ms]", until.timestamp())["result"]
        return [Series(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in found]


class ScrapedPlatform:
    """A stage whose gateways are scraped every five seconds, and an engine that knows only what was scraped."""

    def __init__(self, recorded: RecordedPrometheus, api: PrometheusApi | None = None) -> None:
        self.platform, self.recorded, self._api = Platform(), recorded, api
        self.unscraped: set[str] = set()
        self.away = False
        self.sources: list[PrometheusStats] = []
        self.platform.engine = self.started()
        self.platform.deploy(strategy=Strategy(steps=STEPS, min_requests=1000))
        for _ in range(8):
            self.settle()
        self.platform.release("1.1.0")
        while self.platform.head.table.weight != 500:
            self.settle()
        for _ in range(3):
            self.serve()

    def started(self) -> Engine:
        url = f"http://127.0.0.1:{self.recorded.port}"
        self.sources.append(PrometheusStats(PrometheusSettings(url=url, scrape_interval=5.0, timeout=5.0), self._api))
        return self.platform.started(history=self.sources[-1], replays=True)

    def settle(self) -> None:
        self.tick()
        self.platform.supervise()
        self.platform.acknowledge()

    def serve(self, *, good: int = 10, bad: int = 0) -> None:
        """Five seconds of traffic."""
        if self.platform.head.state.phase is Phase.CANARY:
            self.platform.serve(self.platform.ref("1.1.0"), ok=good, bad=bad)
            self.platform.serve(self.platform.ref("1.0.0"), ok=90)
        self.tick()

    def tick(self) -> None:
        self.platform.wait(5)
        self.recorded.now = self.platform.now
        for reading in self.platform.read():
            if reading.gateway not in self.unscraped:
                self.recorded.scrape(reading)
        if not self.away:
            self.platform.engine.tick()

    @property
    def windows(self) -> list[Window]:
        """All windows of the attempt."""
        revisions = self.platform.store.revisions("iris", limit=50)
        first = max(one.seq for one in revisions if one.cause is Cause.RELEASED)
        taken = [window for one in revisions if one.seq > first for window in one.windows]
        return [*taken, *self.platform.store.windows("iris")]

    @property
    def newest(self) -> Window:
        return self.windows[-1]

    def harm(self, window: Window | None = None) -> float:
        return next(one.log_harm for one in (window or self.newest).evidence if one.gate == "errors")

    def counted(self) -> bool:
        told = (self.platform.store.status("iris") or {})["conditions"]
        return next(bool(one["status"]) for one in told if one["type"] == "Counted")  # type: ignore[attr-defined]

    def assert_no_evidence(self, since: datetime, reason: str) -> None:
        """Assert that no scrape after `since` is evidence and that the weight is unchanged."""
        counted = [one for one in self.windows if one.gap is None]
        assert self.newest.gap is not None
        assert reason in self.newest.gap
        assert (self.newest.candidate.n, self.newest.stable.n, self.harm()) == (0, 0, self.harm(counted[-1]))
        assert counted[-1].end <= since
        assert (self.platform.head.table.weight, self.counted()) == (500, False)

    def assert_all_counted(self, requests: int) -> None:
        """Assert that the counted windows have no holes between them and have all of the candidate's answers."""
        counted = [one for one in self.windows if one.gap is None and one.weight == 500]
        assert counted
        assert all(one.end == other.start for one, other in zip(counted, counted[1:], strict=False))
        assert sum(one.candidate.n for one in counted) == requests


def candidates(watched: ScrapedPlatform) -> int:
    """The candidate's answers that both gateways counted, up to the last window."""
    ok, bad = watched.platform.traffic[watched.platform.ref("1.1.0")]
    return 2 * (ok + bad)


@pytest.fixture
def recorded() -> Iterator[RecordedPrometheus]:
    with serving(RecordedPrometheus(Platform().now)) as recorded:
        yield recorded


@pytest.fixture
def watched(recorded: RecordedPrometheus) -> Iterator[ScrapedPlatform]:
    watched = ScrapedPlatform(recorded)
    yield watched
    for source in watched.sources:
        source.close()


def until_settled(watched: ScrapedPlatform) -> None:
    """Two windows without traffic, after which the last scrape is counted."""
    for _ in range(2):
        watched.tick()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (COMPLETED, "NaN"),
        (COMPLETED, "+Inf"),
        (COMPLETED, "-1"),
        (COMPLETED, "2.5"),
        ("envoy_cluster_endpoint_rq_error", "NaN"),
        ("envoy_server_uptime", "NaN"),
    ],
)
def test_a_sample_that_is_no_count_invalidates_its_scrape_and_the_next_scrape_covers_it(
    watched: ScrapedPlatform, name: str, value: str
) -> None:
    before, since = watched.harm(), watched.platform.now
    watched.platform.serve(watched.platform.ref("1.1.0"), ok=5, bad=5)
    watched.platform.serve(watched.platform.ref("1.0.0"), ok=90)
    watched.away = True
    watched.tick()
    watched.recorded.spoil(name, value)
    watched.away = False
    # The window has ended, and this scrape is the newest.
    watched.platform.wait(3)
    watched.recorded.now = watched.platform.now
    watched.platform.engine.tick()
    watched.assert_no_evidence(
        since, "which is no count" if name != "envoy_server_uptime" else "envoy_server_uptime is nan"
    )
    watched.platform.wait(-3)
    for _ in range(3):
        watched.tick()
    watched.assert_all_counted(candidates(watched))
    assert watched.harm() > before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": ""}, "answers nonsense"),
        ({"body": "<html>not found</html>", "status": 404}, "answers nonsense"),
        ({"body": "{}"}, "no reason given"),
        ({"body": '{"status": "error", "error": "query timed out"}', "status": 503}, "503: query timed out"),
        ({"body": '{"status": "success", "data": {"resultType": "vector", "result": []}}'}, "a vector where"),
        ({"body": "[]"}, "answers nonsense"),
        ({"body": "no", "status": 401}, "refuses us (401)"),
        ({"warnings": ("store gateway 2 did not answer",)}, "answers in part: store gateway 2"),
        ({"silent": True}, "does not answer"),
    ],
)
def test_an_invalid_answer_is_no_evidence_and_missed_windows_are_replayed(
    watched: ScrapedPlatform, change: dict[str, object], reason: str
) -> None:
    before, since = watched.harm(), watched.platform.now
    good = {name: getattr(watched.recorded, name) for name in change}
    for name, value in change.items():
        setattr(watched.recorded, name, value)
    for _ in range(4):
        watched.serve(good=8, bad=2)
    watched.assert_no_evidence(since, reason)
    for name, value in good.items():
        setattr(watched.recorded, name, value)
    noted = len(watched.windows)
    until_settled(watched)
    replayed = [one for one in watched.windows[noted:] if one.gap is None]
    assert len(replayed) >= 4, "the windows that they were"
    watched.assert_all_counted(candidates(watched))
    assert watched.harm() > before


def test_an_empty_answer_is_not_taken_for_no_traffic(watched: ScrapedPlatform) -> None:
    since = watched.platform.now
    kept, watched.recorded.samples = watched.recorded.samples, {}
    watched.unscraped = {"e1", "e2"}
    watched.serve(good=9, bad=1)
    watched.assert_no_evidence(since, "no scrape of a gateway")
    watched.recorded.samples, watched.unscraped = kept, set()
    for _ in range(2):
        watched.serve()
    until_settled(watched)
    watched.assert_all_counted(candidates(watched))


def test_stale_samples_are_not_taken_for_no_traffic_and_one_window_counts_it_afterwards(
    watched: ScrapedPlatform,
) -> None:
    since = watched.platform.now
    watched.unscraped = {"e1", "e2"}
    for _ in range(8):
        watched.serve(bad=1)
    watched.assert_no_evidence(since, "")
    watched.unscraped = set()
    watched.serve()
    until_settled(watched)
    watched.assert_all_counted(candidates(watched))
    assert max(one.candidate.n for one in watched.windows) > 8 * 20


def test_half_of_the_gateways_unscraped_is_one_gap_and_then_the_others_count_alone(watched: ScrapedPlatform) -> None:
    watched.unscraped = {"e2"}
    for _ in range(10):
        watched.serve(bad=1)
    gaps = [one.gap for one in watched.windows if one.gap]
    assert gaps.count("gateway e2 did not tell its counters") == 1
    assert (watched.newest.gap, watched.newest.candidate.n) == (None, 11)
    assert watched.counted()


@pytest.mark.parametrize(
    "name",
    [
        "envoy_cluster_endpoint_rq_success",
        "envoy_cluster_endpoint_rq_error",
        "envoy_cluster_endpoint_rq_timeout",
        "envoy_cluster_upstream_rq_xx",
        "envoy_cluster_upstream_rq",
        "envoy_cluster_upstream_rq_retry",
        "envoy_cluster_upstream_rq_retry_success",
        "envoy_cluster_upstream_rq_timeout",
        "envoy_cluster_upstream_cx_connect_fail",
        "envoy_cluster_upstream_cx_destroy_local_with_active_rq",
        "envoy_cluster_upstream_cx_destroy_remote_with_active_rq",
        "envoy_cluster_upstream_cx_none_healthy",
    ],
)
def test_a_scrape_with_a_missing_part_is_no_evidence_of_starvation(watched: ScrapedPlatform, name: str) -> None:
    since = watched.platform.now
    watched.recorded.dropped = (name,)
    for _ in range(20):
        watched.serve()
    watched.assert_no_evidence(since, f"{name}")
    assert "was not scraped" in str(watched.newest.gap)
    assert watched.platform.head.state.phase is Phase.CANARY


def test_two_scrapers_of_one_gateway_are_not_counted_as_two(watched: ScrapedPlatform) -> None:
    since = watched.platform.now
    for reading in watched.platform.read():
        watched.recorded.scrape(reading, replica="b")
    watched.serve(bad=5)
    watched.assert_no_evidence(since, "twice: prometheus.selector must leave one")


@pytest.mark.parametrize(("skew_s", "told"), [(60, "60 s ahead of ours"), (-60, "60 s behind ours")])
def test_a_clock_that_differs_is_no_evidence(watched: ScrapedPlatform, skew_s: float, told: str) -> None:
    since = watched.platform.now
    watched.recorded.skew_s = skew_s
    for _ in range(3):
        watched.serve(bad=5)
    watched.assert_no_evidence(since, told)


def test_a_gateway_that_was_restarted_is_one_gap_and_no_fall_is_counted(watched: ScrapedPlatform) -> None:
    watched.platform.since["e2"] = watched.platform.now
    watched.serve()
    until_settled(watched)
    assert [one.gap for one in watched.windows if one.gap][-1] == "gateway e2 was restarted"


def test_windows_missed_during_a_restart_of_the_control_plane_are_replayed(watched: ScrapedPlatform) -> None:
    last, before = watched.newest, watched.harm()
    watched.away = True
    for _ in range(12):
        watched.serve(good=9, bad=1)
    watched.platform.engine, watched.away = watched.started(), False
    watched.tick()
    back = [one for one in watched.windows if one.start >= last.end]
    assert [one.gap for one in back] == [None] * len(back)
    assert len(back) >= 11
    assert all(one.seconds == 5 for one in back)
    watched.assert_all_counted(candidates(watched))
    assert watched.harm() > before


def test_a_candidate_that_went_bad_while_the_control_plane_was_down_is_rolled_back_at_the_first_tick(
    watched: ScrapedPlatform,
) -> None:
    watched.away = True
    for _ in range(12):
        watched.serve(good=4, bad=6)
    watched.platform.engine, watched.away = watched.started(), False
    watched.tick()
    assert (watched.platform.head.cause, watched.platform.head.table.weight) == (Cause.ROLLED_BACK, 0)


def test_a_person_rolls_back_while_prometheus_is_away(watched: ScrapedPlatform) -> None:
    watched.recorded.silent = True
    watched.serve()
    watched.platform.ask(ActionType.ROLLBACK)
    watched.platform.tick()
    assert (watched.platform.head.cause, watched.platform.head.table.weight) == (Cause.ROLLED_BACK, 0)


def test_a_prometheus_that_hangs_costs_one_timeout_and_not_one_per_route(recorded: RecordedPrometheus) -> None:
    recorded.hang_s = 1.0
    settings = PrometheusSettings(url=f"http://127.0.0.1:{recorded.port}", timeout=0.5)
    source = PrometheusStats(settings)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(Unavailable, match="Prometheus does not answer: timed out"):
            source.clock()
    assert time.monotonic() - began < 8, "20 times its limit are 10 s"
    assert len(recorded.tokens) == 1
    source.close()


def test_a_token_is_read_anew_and_a_missing_file_is_named(recorded: RecordedPrometheus, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    source = PrometheusStats(PrometheusSettings(url=f"http://127.0.0.1:{recorded.port}", bearer_token_file=str(token)))
    source.clock()
    token.write_text("two")
    source.clock()
    assert recorded.tokens == ["Bearer one", "Bearer two"]
    token.unlink()
    with pytest.raises(Exception, match="bearerTokenFile .* cannot be read"):
        source.clock()
    source.close()


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["fine", "silent", "away", "restarted"]), min_size=3, max_size=16))
def test_everything_is_counted_once_in_any_order_of_outages(days: list[str]) -> None:
    recorded = RecordedPrometheus(Platform().now)
    watched = ScrapedPlatform(recorded, InProcess(recorded))
    for day in days:
        recorded.silent, watched.away = day == "silent", day == "away"
        if day == "restarted":
            watched.platform.engine = watched.started()
        watched.serve()
    recorded.silent = watched.away = False
    until_settled(watched)
    watched.assert_all_counted(candidates(watched))


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = PrometheusSettings(url="https://127.0.0.1:9", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(Unavailable, match=r"prometheus\.caFile .*none\.pem cannot be used: No such file"):
        PrometheusStats(settings).clock()
