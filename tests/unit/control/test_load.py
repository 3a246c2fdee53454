"""The requests of each model in the last minutes, from the readings of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.gateway import ClusterKey, Role
from fairlead.control.load import READINGS, WatchedLoad
from fairlead.rollout.ports import Reading

START = datetime(2026, 1, 1, tzinfo=UTC)
SPLIT, AGGREGATE, DIRECT = (
    {version: ClusterKey(role, "default", "iris", version) for version in ("1_0_0", "1_1_0")}
    for role in (Role.SPLIT, Role.AGGREGATE, Role.DIRECT)
)
Counts = Mapping[ClusterKey, Mapping[str, int]]


class Gateways:
    """A source whose next readings are given: by gateway, what it has counted."""

    def __init__(self) -> None:
        self.next: Mapping[str, Counts] = {}
        self.at = START
        self.uptime_s = 1e6
        self.is_closed = False

    def read(self) -> Sequence[Reading]:
        self.at += timedelta(seconds=5)
        return [Reading(name, self.at, counts, {}, self.uptime_s) for name, counts in self.next.items()]

    def close(self) -> None:
        self.is_closed = True


def watched(*readings: Mapping[str, Counts]) -> WatchedLoad:
    source = Gateways()
    load = WatchedLoad(source)
    for source.next in readings:
        load.read()
    return load


def done(count: int, retried: int = 0) -> Mapping[str, int]:
    return {"upstream_rq_completed": count, "retry.upstream_rq_completed": retried}


def test_the_requests_of_all_versions_over_all_gateways_are_those_of_the_model() -> None:
    before = {SPLIT["1_0_0"]: done(100), SPLIT["1_1_0"]: done(10)}
    after = {SPLIT["1_0_0"]: done(150), SPLIT["1_1_0"]: done(20)}
    load = watched({"one": before, "two": before}, {"one": after, "two": before})
    assert load.recent("default", "iris") == (0.0, 12.0)
    assert load.readings == 2


def test_a_request_of_the_candidate_counts_once_also_if_stable_answered_it() -> None:
    """The aggregate cluster has each request, and the retry on stable; the candidate's own has only its tries."""
    nothing = {SPLIT["1_1_0"]: done(0), AGGREGATE["1_1_0"]: done(0)}
    after = {SPLIT["1_1_0"]: done(6), AGGREGATE["1_1_0"]: done(14, retried=4)}
    assert watched({"one": nothing}, {"one": after}).recent("default", "iris")[-1] == 2.0


def test_requests_that_name_a_version_do_not_count() -> None:
    load = watched({"one": {DIRECT["1_0_0"]: done(0)}}, {"one": {DIRECT["1_0_0"]: done(50)}})
    assert load.recent("default", "iris") == ()


def test_a_gateway_that_restarted_counts_from_nothing_again() -> None:
    source = Gateways()
    load = WatchedLoad(source)
    source.next = {"one": {SPLIT["1_0_0"]: done(100)}}
    load.read()
    source.next, source.uptime_s = {"one": {SPLIT["1_0_0"]: done(400)}}, 2.0
    load.read()
    assert load.recent("default", "iris")[-1] == 0.0
    source.next, source.uptime_s = {"one": {SPLIT["1_0_0"]: done(410)}}, 7.0
    load.read()
    assert load.recent("default", "iris")[-1] == 2.0


def test_without_an_answer_of_any_gateway_nothing_is_added() -> None:
    counts = {"one": {SPLIT["1_0_0"]: done(5)}}
    assert watched(counts, {}).recent("default", "iris") == (0.0,)


def test_it_keeps_a_bounded_number_of_readings_of_the_models_that_are_there() -> None:
    counts = [{"one": {SPLIT["1_0_0"]: done(at)}} for at in range(READINGS + 10)]
    assert len(watched(*counts).recent("default", "iris")) == READINGS
    assert watched(*counts, {"one": {}}).recent("default", "iris") == ()


def test_closing_it_closes_the_source() -> None:
    source = Gateways()
    WatchedLoad(source).close()
    assert source.is_closed


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_rates_are_never_negative_and_add_up_to_the_requests(counts: list[int]) -> None:
    totals = [sum(counts[: at + 1]) for at in range(len(counts))]
    load = watched(*({"one": {SPLIT["1_0_0"]: done(total)}} for total in totals))
    rates = load.recent("default", "iris")
    assert min(rates) >= 0
    assert round(sum(rates) * 5) == totals[-1] - totals[0]
