"""The use of quotas: what counts, and when a client is closed and open again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairlead.contracts.access import Access, Quota
from fairlead.contracts.quota_use import QuotaUse, Reading, Used, closed, counted

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
    assert silent.gateways == {"a": Reading(uptime_s=9, clients={"shop": 50})}
    assert after({"a": {"shop": 51}}, use=silent).clients["shop"].in_day == 1


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


@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=6), max_size=6), st.integers(0, 5))
def test_no_request_is_lost_or_counted_twice_over_restarts(lives: list[list[int]], read_again_in: int) -> None:
    """A gateway that starts again after some readings; the control plane starts again once, from what it has kept."""
    use, total = after({"a": {}}), 0
    for number, passed in enumerate(lives):
        counter = 0
        for uptime, more in enumerate(passed, 1):
            counter, total = counter + more, total + more
            use = after({"a": {"shop": counter}}, use=use, uptime=uptime)
        if number == read_again_in:
            use = QuotaUse.model_validate_json(use.model_dump_json(by_alias=True))
    assert use.clients.get("shop", Used()).in_month == total


def test_a_quota_limits_something() -> None:
    with pytest.raises(ValidationError, match="it limits nothing"):
        Quota()
