"""Which lines `fairlead logs` shows: repeated gateway lines are folded and push nothing else out."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.log_lines import Fold, newest
from fairlead.local.log_files import GATEWAY, SUPERVISOR, Entry, parse
from fairlead.logs import local_time


def at(second: float) -> str:
    return f"2026-01-01T00:{int(second) // 60:02d}:{second % 60:06.3f}Z"


def failure(second: float, path: str = "/models/iris/predict", flags: str = "UH", **more: str) -> Entry:
    line = {"time": at(second), "method": "POST", "path": path, "status": 503, "flags": flags, "duration_ms": 0, **more}
    return next(parse(GATEWAY, [json.dumps(line)]))


def exited(second: float) -> Entry:
    message = "iris 1.0.0 instance 1 exited with code 3 and is restarted"
    return Entry(SUPERVISOR, {"time": at(second), "level": "warning", "message": message, "reason": "libgomp.so.1"})


def shown(entries: list[Entry], longest_s: float | None = None) -> list[str]:
    fold = Fold(longest_s)
    return [str(entry.fields["message"]) for entry in [*fold.add(entries), *fold.rest()]]


FAILED = "request failed at the gateway"


def test_equal_failures_are_one_line_with_their_number_and_the_time_of_the_last() -> None:
    loop = [failure(number / 8, request_id=str(number)) for number in range(84)]
    until = local_time(at(83 / 8))[:8]
    assert shown([*loop, exited(11)]) == [
        FAILED,
        f"gateway: 83 more like POST /models/iris/predict 503 until {until}",
        exited(11).fields["message"],
    ]


def test_two_equal_failures_and_failures_that_differ_are_shown_as_they_are() -> None:
    assert shown([failure(1), failure(2), failure(3, flags="UF"), failure(4, path="/other")]) == [FAILED] * 4


def test_a_line_of_another_process_ends_the_fold_so_that_the_order_stays() -> None:
    lines = [failure(1), failure(2), failure(3), exited(4), failure(5)]
    assert [line == FAILED for line in shown(lines)] == [True, False, False, True]


def test_who_follows_sees_the_failure_again_after_a_while() -> None:
    assert shown([failure(second) for second in range(25)], 10.0).count(FAILED) == 3


def test_the_exit_lines_of_a_crash_loop_stay_although_hundreds_of_gateway_lines_follow() -> None:
    # One exit, then eight failures a second for five minutes, of ever other paths: nothing can be folded.
    entries = [exited(0), *(failure(number / 8, path=f"/models/iris/{number}") for number in range(1, 2400))]
    fold = Fold()
    found = newest([*fold.add(entries), *fold.rest()], 100)
    assert (len(found), found[0]) == (100, exited(0))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 40))
def test_gateway_lines_take_at_most_half_of_the_limit_from_the_others(is_gateways: list[bool], limit: int) -> None:
    entries = [failure(second) if gateway else exited(second) for second, gateway in enumerate(is_gateways)]
    found = newest(entries, limit)
    others = [entry for entry in entries if entry.source != GATEWAY]
    assert len(found) == min(limit, len(entries))
    assert found == sorted(found, key=lambda one: one.time)
    kept = [entry for entry in found if entry.source != GATEWAY]
    assert len(kept) >= min(len(others), limit - limit // 2)
    assert kept == others[len(others) - len(kept) :]


def test_a_gateways_line_says_what_its_flags_mean() -> None:
    assert failure(1).fields["why"] == "no healthy upstream: no instance of the version is ready"
    assert failure(1, flags="UF,URX").fields["why"] == "no connection to the instance; every attempt failed"
    assert "why" not in failure(1, flags="-").fields
