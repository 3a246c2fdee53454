from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.calibration.points import Window, corrected, percentile, summary
from unit.calibration.simulated import SimulatedService, point


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(one <= found for one in values) >= share * len(values) - 1e-9
    smaller = [one for one in values if one < found]
    assert not smaller or sum(one <= max(smaller) for one in values) < share * len(values)


def test_a_request_that_waited_to_be_sent_has_waited() -> None:
    """The service answers in 1 ms, but stood still for a second: 10 requests were due meanwhile, and one was sent."""
    due = [0.1 * at for at in range(20)]
    sent = [one if at < 5 or at > 14 else 1.5 for at, one in enumerate(due)]
    answered = [one + 0.001 for one in sent]
    as_sent = [end - begin for begin, end in zip(sent, answered, strict=True)]
    assert percentile(as_sent, 0.95) == pytest.approx(0.001)
    assert percentile(corrected(due, answered), 0.95) == pytest.approx(0.901)


@given(st.floats(1, 200), st.floats(0.001, 0.02), st.integers(1, 32))
def test_no_corrected_latency_is_below_the_time_in_the_service(rate: float, call_s: float, batch: int) -> None:
    window = SimulatedService(call_s, batch).answered(rate, 3.0)
    assert all(latency >= call_s - 1e-9 for latency in corrected(window.due, window.answered))


@given(st.floats(5, 150), st.floats(0.001, 0.02))
def test_requests_in_flight_obey_littles_law(rate: float, call_s: float) -> None:
    """The mean number in flight, counted moment by moment, is the rate times the mean time."""
    window = SimulatedService(call_s).answered(rate, 20.0)
    in_service = sum(end - begin for begin, end in zip(window.sent, window.answered, strict=True))
    counted = in_service / window.seconds
    found = summary(window)
    mean = in_service / len(window.due)
    assert counted == pytest.approx(len(window.due) / window.seconds * mean)
    assert found.in_flight == pytest.approx(rate * found.service_mean_s)


def test_the_first_requests_of_a_window_are_not_measured() -> None:
    due = [float(at) for at in range(10)]
    answered = [one + (9.0 if at < 2 else 0.1) for at, one in enumerate(due)]
    assert summary(Window(1.0, due, due, answered, 10.0)).p99_s == pytest.approx(0.1)


def test_requests_that_were_not_answered_have_no_time_but_count() -> None:
    due = [float(at) for at in range(10)]
    answered = [one + 0.1 if at != 9 else math.inf for at, one in enumerate(due)]
    found = summary(Window(1.0, due, due, answered, 10.0, failed={"503": 1}))
    assert found.p99_s == math.inf
    assert found.service_mean_s == pytest.approx(0.1)
    assert found.answered_rate == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("changed", "slow"),
    [
        ({}, False),
        ({"generator_share": 0.95}, True),
        ({"late_p95_s": 0.004}, True),
        ({"late_p95_s": 0.001}, False),
        ({"p95_s": math.inf, "late_p95_s": 0.004}, False),
        ({"machine_was_full": True}, True),
    ],
)
def test_where_the_generator_or_others_were_busy_a_latency_says_little(changed: dict[str, float], slow: bool) -> None:
    assert point(100.0, **{"p95_s": 0.01, **changed}).says_little is slow


@pytest.mark.parametrize(
    ("service", "generator", "others", "full"),
    [(7.0, 1.0, 12.0, True), (7.0, 1.0, 6.0, False), (18.0, 1.5, 0.5, False), (15.0, 1.0, 3.9, False)],
)
def test_a_machine_is_full_if_no_core_is_left_and_others_use_some(
    service: float, generator: float, others: float, full: bool
) -> None:
    """10 s on 2 cores."""
    window = Window(1.0, [0.0], [0.0], [0.1], 10.0, cores=2)
    window = replace(window, service_cpu_s=service, generator_cpu_s=generator, others_cpu_s=others)
    assert summary(window).machine_was_full is full


def test_what_others_used_is_never_more_than_the_machine_has() -> None:
    """The CPU time is read before the load begins and after it has ended, so more of it passes than the load lasted."""
    window = Window(1.0, [0.0], [0.0], [0.1], 10.0, cores=2, others_cpu_s=22.0, watched_s=12.0)
    assert summary(window).others_cores == pytest.approx(22 / 12)
    assert summary(replace(window, others_cpu_s=24.5)).others_cores == 2  # one tick more than there was
