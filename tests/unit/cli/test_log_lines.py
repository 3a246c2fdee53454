"""Which lines `fairlead logs` shows: repeated gateway lines are folded and push nothing else out."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli.log_lines import Counted, Fold, newest
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


def raised(second: float, error: str = "ValueError: bad", source: str = "iris-1.0.0-ab12-0") -> Entry:
    cause = f'Traceback (most recent call last):\n  File "model.py", line 9, in predict\n{error}\n'
    head = (
        "The above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n"
    )
    traceback = f"{cause}\n{head}fairlead.errors.ModelFailed: the model's code raised ValueError"
    message = "request failed: the model's code raised ValueError"
    fields = {"level": "error", "message": message, "request_id": f"id-{second}", "traceback": traceback}
    return Entry(source, {"time": at(second), **fields})


def cause_of(line: Entry) -> str:
    return (str(line.fields.get("traceback", "")).partition("\n\n")[0].splitlines() or [""])[-1]


def repeats(entries: list[Entry], longest_s: float | None = None) -> list[str]:
    """The lines that are shown: the last line of each traceback, and the messages of the others."""
    fold = Fold(longest_s)
    found = [*fold.add(entries), *fold.rest()]
    return [(cause_of(one) or str(one.fields["message"])) for one in found]


def test_an_error_that_comes_again_is_shown_once_and_counted() -> None:
    last = local_time(at(41))[:8]
    assert repeats([raised(second) for second in range(42)]) == [
        "ValueError: bad",
        f"ValueError: bad: the same error 41 more times until {last}",
    ]


def test_its_traceback_is_not_shown_again_after_lines_of_others() -> None:
    lines = [raised(0), failure(0.1), raised(1), failure(1.1), exited(2), raised(3), failure(3.1)]
    same = "ValueError: bad: the same error once more at"
    assert repeats(lines) == [
        "ValueError: bad",
        FAILED,
        f"{same} {local_time(at(1))[:8]}",
        FAILED,
        exited(2).fields["message"],
        FAILED,
        f"{same} {local_time(at(3))[:8]}",
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("one", "two")), st.booleans()), max_size=30))
def test_no_error_is_lost_that_differs_in_its_text_or_in_its_process(said: list[tuple[str, str, bool]]) -> None:
    entries = []
    for second, (error, source, is_exit) in enumerate(said):
        entries += [raised(second, error, source), *([exited(second)] if is_exit else [])]
    fold = Fold()
    found = [*fold.add(entries), *fold.rest()]
    first = {(error, source) for error, source, _ in said}
    assert sum("traceback" in one.fields for one in found) == len(first)
    assert {(cause_of(one), one.source) for one in found if "traceback" in one.fields} == first
    assert sum(one.more for one in found if isinstance(one, Counted)) + len(first) == len(said)


def test_who_follows_gets_a_number_every_while_and_the_traceback_once() -> None:
    found = repeats([raised(second) for second in range(25)], 10.0)
    assert found[0] == "ValueError: bad"
    assert [line.partition(" until")[0] for line in found[1:]] == [
        "ValueError: bad: the same error 9 more times",
        "ValueError: bad: the same error 10 more times",
        "ValueError: bad: the same error 5 more times",
    ]


def test_a_number_whose_traceback_is_older_than_the_limit_carries_it() -> None:
    fold = Fold()
    entries = [raised(0), *(exited(second) for second in range(1, 9)), raised(9), raised(10)]
    *_, last = newest([*fold.add(entries), *fold.rest()], 4)
    assert last.fields["traceback"] == raised(0).fields["traceback"]
    assert "the same error 2 more times" in str(last.fields["message"])
