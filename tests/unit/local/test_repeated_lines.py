"""Log lines that repeat are shown once and counted: gateway lines, errors, and what a model prints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.local.log_files import GATEWAY, Entry
from fairlead.local.repeated_lines import Counted, Fold
from fairlead.logs import as_text, local_time
from support.log_entries import at, exited, failure, printed, raised


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


def test_the_line_for_equal_requests_has_their_level() -> None:
    for status, level in ((200, "info"), (503, "warning")):
        fold = Fold()
        lines = [*fold.add([failure(number, status=status) for number in range(9)]), *fold.rest()]
        assert [line.fields["level"] for line in lines] == [level, level]


def test_calls_of_grpc_that_end_with_different_codes_are_different() -> None:
    calls = [failure(number, status=200, grpc_status=code) for code in ("0", "14") for number in range(5)]
    until = local_time(at(4))[:8]
    assert shown(calls) == [
        "request at the gateway",
        FAILED,
        f"gateway: 4 more like POST /models/iris/predict 200 (grpc_status 0) until {until}",
        f"gateway: 4 more like POST /models/iris/predict 200 (grpc_status 14) until {until}",
    ]


def test_two_equal_failures_and_failures_that_differ_are_shown_as_they_are() -> None:
    assert shown([failure(1), failure(2), failure(3, flags="UF"), failure(4, path="/other")]) == [FAILED] * 4


def test_a_line_of_another_process_ends_the_fold_so_that_the_order_stays() -> None:
    lines = [failure(1), failure(2), failure(3), exited(4), failure(5)]
    assert [line == FAILED for line in shown(lines)] == [True, False, False, True]


def test_who_follows_sees_the_failure_again_after_a_while() -> None:
    assert shown([failure(second) for second in range(25)], 10.0).count(FAILED) == 3


def test_a_gateways_line_says_what_its_flags_mean() -> None:
    assert failure(1).fields["why"] == "no healthy upstream: no instance of the version is ready"
    assert failure(1, flags="UF,URX").fields["why"] == "no connection to the instance; every attempt failed"
    assert "why" not in failure(1, flags="-").fields


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


def test_a_line_that_a_model_prints_again_is_counted_and_a_different_one_is_shown() -> None:
    lines = [*(printed(second, "predicting") for second in range(40)), printed(41, "done")]
    assert shown(lines) == ["predicting", "done", f"predicting: printed 39 more times until {local_time(at(39))[:8]}"]


def test_what_was_printed_is_called_so_and_what_envoy_writes_is_a_warning() -> None:
    assert as_text(printed(1, "loading").fields)[13:] == "printed loading"
    assert printed(1, "[warning] upstream", GATEWAY).fields["level"] == "warning"


def test_a_platform_that_runs_for_weeks_keeps_no_more_than_a_thousand_different_lines() -> None:
    fold = Fold(10.0)
    lines = [raised(number / 100, f"ValueError: {number}") for number in range(3000)]
    assert len(list(fold.add([one for line in lines for one in (line, line)]))) == 3000 + 2000
    assert len(list(fold.rest())) == 1000


def test_what_was_held_back_comes_after_some_calls_without_a_line() -> None:
    fold = Fold(10.0, idle_calls=3)
    assert len(list(fold.add([raised(0), raised(1), raised(2)]))) == 1
    assert [len(list(fold.add([]))) for _ in range(5)] == [0, 0, 1, 0, 0]


def test_all_that_a_process_prints_again_at_each_start_is_one_line() -> None:
    start = [printed(0, "library 3.1"), printed(0, "no accelerator"), printed(0, "loading")]
    lines = [*start, exited(1), *start, exited(2), *start, exited(3)]
    again, end = "3 different lines that are above: printed 3 more times", exited(1).fields["message"]
    found = [line.partition(" until")[0] for line in shown(lines)]
    assert found == ["library 3.1", "no accelerator", "loading", end, again, end, again, end]
