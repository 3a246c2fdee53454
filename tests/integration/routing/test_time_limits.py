"""The time limits of a real gateway: stable is asked after `perTry` too, and has what is left of `request`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, Failures
from fairlead.rollout.analysis.counts import Counted, count
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from integration.routing.backends import Backend, Backends
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving, until

PER_TRY_S, REQUEST_S = 0.3, 1.5
PATH = "/models/iris/predict"
SLOW_S, HANG_S = 0.5, 30.0
Answers = Counter[tuple[int, str | None]]


@contextmanager
def a_gateway(folder: Path, stable: list[Backend], candidate: list[Backend], **fields: object) -> Iterator[Edge]:
    """Every request of the split is the candidate's."""
    limits = {"per_try_timeout_s": PER_TRY_S, "request_timeout_s": REQUEST_S}
    with an_edge(folder) as edge:
        edge.endpoints["default", "iris", V1] = [one.endpoint for one in stable]
        edge.endpoints["default", "iris", V2] = [one.endpoint for one in candidate]
        with serving(edge, iris(1, 10_000, **{**limits, **fields})):
            yield edge


def send(edge: Edge, n: int, *, clients: int = 1, timeout_s: float = 10, pin: str = "") -> Answers:
    """`n` requests, `clients` at a time; how many answers had which status and version. 0: the client gave up."""

    def one(_: int) -> tuple[int, str | None]:
        try:
            headers = {"x-model-version": pin} if pin else {}
            answer = httpx.post(edge.url + PATH, headers=headers, timeout=timeout_s, trust_env=False)
        except httpx.TimeoutException:
            return 0, None
        return answer.status_code, answer.headers.get("x-model-version")

    with ThreadPoolExecutor(clients) as pool:
        return Counter(pool.map(one, range(n)))


def counted(edge: Edge, n: int, **options: float) -> Counted:
    """What the estimator counts of `n` requests, read from the gateway's admin page."""
    stats, table = EnvoyStats("127.0.0.1", edge.admin_port), iris(1, 10_000).table
    limited = Table.model_validate(
        {**table.model_dump(), "per_try_timeout_s": PER_TRY_S, "request_timeout_s": REQUEST_S}
    )
    before = stats.read()
    send(edge, n, **options)  # type: ignore[arg-type]
    found = Counted()

    def is_settled() -> bool:
        nonlocal found
        earlier, found = found, count(before, stats.read(), limited)
        return found == earlier and found != Counted()

    try:
        until(is_settled, every_s=0.1)
    finally:
        stats.close()
    return found


@pytest.mark.parametrize("instances", [1, 2])
def test_two_versions_that_are_slower_than_the_limit_answer_every_request(
    tmp_path: Path, backends: Backends, instances: int
) -> None:
    stable, candidate = ([backends.start(ref.version, delay_s=SLOW_S) for _ in range(instances)] for ref in (V1, V2))
    with a_gateway(tmp_path, stable, candidate) as edge:
        assert send(edge, 8) == {(200, V2.version): 8}
        # Many at a time: the candidate's instances may be ejected for the limit, but stable's are not.
        assert {status for status, _ in send(edge, 40, clients=8)} == {200}


def test_stable_may_take_longer_than_the_limit_when_the_candidate_hangs(tmp_path: Path, backends: Backends) -> None:
    stable, candidate = backends.start(V1.version, delay_s=SLOW_S), backends.start(V2.version, delay_s=HANG_S)
    with a_gateway(tmp_path, [stable], [candidate]) as edge:
        begin = time.monotonic()
        assert send(edge, 1) == {(200, V1.version): 1}
        assert PER_TRY_S + SLOW_S <= time.monotonic() - begin < REQUEST_S


def test_both_versions_together_have_the_time_of_one_request(tmp_path: Path, backends: Backends) -> None:
    stable, candidate = (backends.start(ref.version, delay_s=HANG_S) for ref in (V1, V2))
    with a_gateway(tmp_path, [stable], [candidate]) as edge:
        begin = time.monotonic()
        assert send(edge, 1) == {(504, None): 1}
        assert time.monotonic() - begin < REQUEST_S + 1


def test_a_pinned_request_is_not_limited(tmp_path: Path, backends: Backends) -> None:
    stable, candidate = backends.start(V1.version), backends.start(V2.version, delay_s=SLOW_S)
    with a_gateway(tmp_path, [stable], [candidate]) as edge:
        assert send(edge, 3, pin=V2.version) == {(200, V2.version): 3}
        assert not stable.seen


def test_a_request_that_may_be_sent_only_once_is_not_limited(tmp_path: Path, backends: Backends) -> None:
    stable, candidate = backends.start(V1.version), backends.start(V2.version, delay_s=SLOW_S)
    with a_gateway(tmp_path, [stable], [candidate], idempotent=False) as edge:
        assert send(edge, 3) == {(200, V2.version): 3}
        assert not stable.seen


class TestCounts:
    """How attempts failed, as the gateway's own counters say."""

    def test_late_answers_of_the_candidate_are_late_and_not_bad(self, tmp_path: Path, backends: Backends) -> None:
        stable, candidate = (backends.start(ref.version, delay_s=SLOW_S) for ref in (V1, V2))
        with a_gateway(tmp_path, [stable], [candidate]) as edge:
            found = counted(edge, 4)
        assert (found.candidate, found.failures.candidate) == (Counts(n=4), Failures(late=4))

    def test_attempts_that_stable_overtook_are_late(self, tmp_path: Path, backends: Backends) -> None:
        stable, candidate = backends.start(V1.version), backends.start(V2.version, delay_s=HANG_S)
        with a_gateway(tmp_path, [stable], [candidate]) as edge:
            found = counted(edge, 4)
        assert (found.candidate, found.failures.candidate) == (Counts(n=4), Failures(late=4))
        assert (found.assigned, found.unserved) == (4, 4)

    def test_what_nobody_answered_in_time_timed_out_once(self, tmp_path: Path, backends: Backends) -> None:
        stable, candidate = (backends.start(ref.version, delay_s=HANG_S) for ref in (V1, V2))
        with a_gateway(tmp_path, [stable], [candidate]) as edge:
            found = counted(edge, 2)
        assert (found.candidate, found.failures.candidate) == (Counts(n=2, bad=2), Failures(timed_out=2))
        assert (found.assigned, found.unserved) == (2, 2)

    def test_errors_and_refused_connections_are_told_apart(self, tmp_path: Path, backends: Backends) -> None:
        stable, candidate = backends.start(V1.version), backends.start(V2.version, status=500)
        with a_gateway(tmp_path, [stable], [candidate]) as edge:
            assert counted(edge, 2).failures.candidate == Failures(server_errors=2)
            backends.kill(candidate)
            assert counted(edge, 2).failures.candidate.unanswered >= 2

    def test_a_client_that_gives_up_before_the_limit_is_no_evidence(self, tmp_path: Path, backends: Backends) -> None:
        stable, candidate = backends.start(V1.version), backends.start(V2.version, delay_s=SLOW_S)
        with a_gateway(tmp_path, [stable], [candidate]) as edge:
            send(edge, 3, timeout_s=0.15)
            candidate.delay_s = 0
            found = counted(edge, 2)
        assert (found.candidate, found.failures.candidate) == (Counts(n=2), Failures())
