"""The use of quotas: what counts, and when a client is closed and open again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairlead.contracts.access import Access, Quota
from fairlead.contracts.quota_use import QuotaUse, Reading, Spent, Used, closed, counted, spent

NOW = datetime(2026, 11, 30, 19, 0, tzinfo=UTC)
ACCESS = Access.model_validate({"clients": {"shop": {"quota": {"day": 100, "month": 1000}}, "free": {}}})


def after(
    *readings: dict[str, dict[str, int]], now: datetime = NOW, use: QuotaUse | None = None, uptime: int = 9
) -> QuotaUse:
    found = QuotaUse() if use is None else use
    for reading in readings:
        read = {gateway: Reading(uptime_s=uptime, clients=counts) for gateway, counts in reading.items()}
        found = counted(found, read, set(reading), ACCESS, now)
    return found


def test_the_first_reading_of_all_counts_nothing_and_later_ones_what_is_more() -> None:
    use = after({"a": {"shop": 50}}, {"a": {"shop": 70}, "b": {"shop": 5}})
    assert use.clients == {"shop": Used(day="2026-11-30", in_day=25, in_month=25)}
    assert use.quotas == {"shop": Quota(day=100, month=1000)}


def test_a_gateway_that_started_again_counts_from_zero() -> None:
    before = after({"a": {"shop": 50}})
    assert after({"a": {"shop": 7}}, use=before).clients["shop"].in_day == 7
    assert after({"a": {"shop": 70}}, use=before, uptime=1).clients["shop"].in_day == 70  # it is past 50 again


def test_a_gateway_that_does_not_answer_is_remembered_and_one_that_is_gone_is_not() -> None:
    use = after({"a": {"shop": 50}, "b": {"shop": 9}})
    silent = counted(use, {}, {"a"}, ACCESS, NOW)
    assert silent.gateways == {"a": Reading(uptime_s=9, clients={"shop": 50}, read_at=NOW)}
    assert after({"a": {"shop": 51}}, use=silent).clients["shop"].in_day == 1


@pytest.mark.parametrize(
    ("uptime_s", "later_s", "counts"),
    [
        pytest.param(1002, 2, 10, id="it ran on"),
        pytest.param(972, 2, 10, id="its clock was set back by 30 s"),
        pytest.param(-20, 2, 10, id="its clock was set back by more than it runs"),
        pytest.param(1032, 2, 10, id="its clock was set forward"),
        pytest.param(1002, -3600, 10, id="our clock was set back"),
        pytest.param(1, 2, 60, id="it started again"),
        pytest.param(1, -3600, 60, id="it started again, and our clock was set back"),
        pytest.param(595, 600, 60, id="it started again at once after the reading"),
        pytest.param(2000, 3600, 60, id="it started again and runs for longer than before"),
    ],
)
def test_a_gateway_started_again_if_it_runs_for_a_shorter_time_than_has_passed(
    uptime_s: int, later_s: float, counts: int
) -> None:
    before = after({"a": {"shop": 50}}, uptime=1000)
    use = after({"a": {"shop": 60}}, use=before, uptime=uptime_s, now=NOW + timedelta(seconds=later_s))
    assert use.clients["shop"].in_month == counts


def test_a_gateway_that_did_not_answer_at_the_first_reading_of_all_does_not_count_its_whole_life_later() -> None:
    use = counted(QuotaUse(), {"a": Reading(clients={"shop": 1})}, {"a", "b"}, ACCESS, NOW)
    use = QuotaUse.model_validate_json(use.model_dump_json(by_alias=True))
    heard = after({"a": {"shop": 1}, "b": {"shop": 90_000}}, use=use)
    assert heard.clients["shop"].in_day == 0
    assert after({"a": {"shop": 1}, "b": {"shop": 90_007}}, use=heard).clients["shop"].in_day == 7


def test_gateways_are_remembered_while_none_is_listed() -> None:
    before = after({"a": {"shop": 50}})
    for nothing in (QuotaUse(), before):
        use = counted(nothing, {}, set(), ACCESS, NOW)
        assert after({"a": {"shop": 50}}, use=use).clients["shop"].in_day == 0


def test_a_client_is_closed_until_the_day_ends_or_the_month() -> None:
    use = after({"a": {}}, {"a": {"shop": 100}})
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    assert closed(use, ACCESS, NOW) == {"shop": midnight.timestamp()}
    assert closed(use, ACCESS, midnight) == {}
    early = datetime(2026, 11, 3, 4, tzinfo=UTC)
    month = QuotaUse(clients={"shop": Used(day="2026-11-03", in_day=100, in_month=1000)})
    assert closed(month, ACCESS, early) == {"shop": midnight.timestamp()}


def test_a_new_day_keeps_the_month_and_a_new_month_keeps_nothing() -> None:
    used = Used(day="2026-11-29", in_day=4, in_month=40)
    assert used.at(NOW) == Used(day="2026-11-30", in_day=0, in_month=40)
    assert used.at(NOW + timedelta(days=1)) == Used(day="2026-12-01")


LIVES = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(20, 3600)), min_size=1, max_size=6), max_size=6)


@given(LIVES, st.integers(0, 5))
def test_no_request_is_lost_or_counted_twice_over_restarts(
    lives: list[list[tuple[int, int]]], read_again_in: int
) -> None:
    """A gateway that starts again after some readings; the control plane starts again once, from what it has kept."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    use, total = after({"a": {}}, uptime=9000, now=now), 0
    for number, passed in enumerate(lives):
        counter = uptime = 0
        for more, seconds in passed:
            counter, total = counter + more, total + more
            uptime, now = uptime + seconds, now + timedelta(seconds=seconds)
            use = after({"a": {"shop": counter}}, use=use, uptime=uptime - uptime % 5, now=now)
        if number == read_again_in:
            use = QuotaUse.model_validate_json(use.model_dump_json(by_alias=True))
    assert use.clients.get("shop", Used()).in_month == total


def test_a_quota_limits_something() -> None:
    with pytest.raises(ValidationError, match="it limits nothing"):
        Quota()


def test_what_is_spent_is_that_of_the_present_day_and_month_of_each_quota() -> None:
    use = after({"a": {"shop": 0}}, {"a": {"shop": 20}})
    assert spent(use, NOW) == [Spent("shop", "day", 20, 100), Spent("shop", "month", 20, 1000)]
    tomorrow = NOW + timedelta(days=1)  # and another month
    assert spent(use, tomorrow) == [Spent("shop", "day", 0, 100), Spent("shop", "month", 0, 1000)]


def test_a_client_without_a_quota_for_a_period_spends_nothing_of_it() -> None:
    use = QuotaUse(quotas={"shop": Quota(day=100)})
    assert spent(use, NOW) == [Spent("shop", "day", 0, 100)]
