"""Tests of the open-loop load generator, with a backend that counts requests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from support.faults.backend import Backend, Faults, answer
from support.load.checks import InTurnOneOf, OneOf
from support.load.open_loop import OpenLoop, own_address
from support.load.prebuilt import Always, InTurn, Users, encode
from support.processes import wait_until

REQUEST = Always(encode("POST", "/predict", body=b"{}"))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with Backend("iris", "1.0.0", log=tmp_path_factory.mktemp("backend") / "backend.log") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(backend: Backend) -> None:
    backend.behave(Faults())
    backend.reset_counts()


def test_every_request_is_sent_when_due_and_answered(backend: Backend) -> None:
    check = OneOf.these(answer("iris", "1.0.0"))
    with OpenLoop(backend.url, rate=400, seconds=1, request=REQUEST, check=check) as load:
        summary = load.result()
    assert (summary.sent, summary.ok, summary.failed) == (400, 400, 0)
    assert backend.counts().answered == {200: 400}
    assert summary.by_version == {"1.0.0": 400}
    assert summary.latency_ms(0.5) < 50
    spacing = summary.scheduled[1:] - summary.scheduled[:-1]
    assert abs(spacing - 2_500_000).max() < 1000


def test_moments_are_comparable_with_those_of_other_processes(backend: Backend) -> None:
    before = time.time_ns()
    with OpenLoop(backend.url, rate=200, count=100, request=REQUEST) as load:
        summary = load.result()
    first, last = summary.first_reply(), summary.last_reply()
    assert first is not None
    assert last is not None
    assert before < first < last < time.time_ns()
    assert summary.last_reply(after=last) is None
    assert summary.between(first, last).sent < 100


def test_failures_are_counted_by_kind_exactly_as_the_backend_counts_them(backend: Backend) -> None:
    backend.behave(Faults(fail=0.3))
    with OpenLoop(backend.url, rate=500, count=500, request=REQUEST) as load:
        summary = load.result()
    assert 100 < summary.failed < 200
    assert summary.failures == {"status 500": backend.counts().bad}
    assert "failed on command" in summary.samples["status 500"]


@pytest.mark.parametrize(("mode", "kind"), [("hang", "timeout"), ("close", "reset"), ("refuse", "refused")])
def test_a_missing_response_is_counted_by_its_cause(backend: Backend, mode: str, kind: str) -> None:
    backend.behave(Faults(mode=mode))  # type: ignore[arg-type]
    with OpenLoop(backend.url, rate=200, count=40, request=REQUEST, timeout_s=0.3) as load:
        summary = load.result()
    assert summary.failures == {kind: 40}


def test_a_stall_adds_to_the_latency_of_every_request_that_waited(backend: Backend) -> None:
    with OpenLoop(backend.url, rate=200, seconds=2, request=REQUEST) as load:
        load.wait_sent(50)
        backend.behave(Faults(delay_ms=300))
        # Counted by the backend since the stall began: the generator's own progress is not exact enough.
        stalled = backend.counts().asked
        wait_until(lambda: backend.counts().asked >= stalled + 100, "a hundred requests have met the stall")
        backend.behave(Faults())
        summary = load.result()
    assert summary.failed == 0
    slow = (summary.latency >= 299_000_000).sum()  # a timer of 300 ms may fire up to 0.3 ms early
    assert 100 <= slow <= 140, "a generator that waits for responses would have sent only a few slow requests"


def test_a_body_that_fails_the_check_is_a_failure(backend: Backend) -> None:
    good = frozenset({answer("iris", "1.0.0")})
    every_fourth_differs = InTurnOneOf([frozenset({b"{}"}), good, good, good])
    with OpenLoop(backend.url, rate=200, count=40, request=REQUEST, check=every_fourth_differs) as load:
        summary = load.result()
    assert summary.failures == {"wrong body": 10}


def test_leaving_the_block_ends_the_load_and_its_summary_has_every_request(backend: Backend) -> None:
    with OpenLoop(backend.url, rate=200, seconds=60, request=REQUEST) as load:
        load.wait_sent(20)
        assert load.progress.failed == 0
    summary = load.result()
    assert 20 <= summary.sent < 2000
    assert summary.sent == backend.counts().asked


def test_requests_vary_by_index(backend: Backend) -> None:
    kinds = [encode("POST", "/predict", headers={"x-load": kind}, body=b"{}") for kind in ("a", "b")]
    with OpenLoop(backend.url, rate=200, count=40, request=InTurn(kinds)) as load:
        load.result()
    assert (backend.counts("a").asked, backend.counts("b").asked) == (20, 20)


def test_a_user_requests_every_path_before_the_next_user_does() -> None:
    users = Users("/a", "/b", body=b"{}", first=7)
    assert [users.user(index) for index in range(4)] == ["u7", "u7", "u8", "u8"]
    assert users(0).startswith(b"POST /a HTTP/1.1\r\n")
    assert users(3) == encode("POST", "/b", headers={"x-user-id": "u8"}, body=b"{}")


def test_the_generator_needs_less_than_half_a_core_at_500_requests_per_second(backend: Backend) -> None:
    with OpenLoop(backend.url, rate=500, seconds=2, request=REQUEST) as load:
        summary = load.result()
    assert summary.cpu_s / summary.wall_s < 0.5


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:80", "http://example.com:80", "https://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1:80"]
)
def test_targets_outside_this_machine_are_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="127.0.0.1:PORT"):
        OpenLoop(url, rate=1, count=1, request=REQUEST)


def test_localhost_is_this_machine() -> None:
    assert own_address("http://localhost:8080") == ("127.0.0.1", 8080)


def test_load_may_go_to_a_network_that_the_test_names() -> None:
    assert own_address("http://10.203.1.7:80", "10.203.1.0/24") == ("10.203.1.7", 80)
    with pytest.raises(ValueError, match="127.0.0.1:PORT"):
        own_address("http://10.203.2.7:80", "10.203.1.0/24")
