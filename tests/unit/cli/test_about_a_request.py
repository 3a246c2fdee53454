import pytest

from fairlead import errors
from fairlead.cli.log_lines import About
from fairlead.local.log_files import Entry, parse

TRACE = "ab" * 16
LINES = [
    Entry("gateway", {"request_id": "r1", "trace_id": TRACE}),
    Entry("gateway", {"request_id": "r1", "attempt": "1"}),
    Entry("iris", {"request_id": "r1"}),
    Entry("iris", {"request_id": "r2", "trace_id": "cd" * 16}),
    Entry("iris", {"message": "of request r1"}),
    Entry("iris", {"message": "ready"}),
]


@pytest.mark.parametrize("given", [TRACE, TRACE.upper(), f"00-{TRACE}-{'ef' * 8}-01"])
def test_a_trace_is_found_by_the_requests_that_lines_name_with_it(given: str) -> None:
    assert About(None, given).among(LINES) == [*LINES[:3], LINES[4]]


def test_a_request_is_found_by_its_id() -> None:
    assert About("r2", None).among(LINES) == [LINES[3]]


def test_without_an_id_every_line_is_shown() -> None:
    about = About(None, None)
    assert (about.is_everything, about.among(LINES)) == (True, LINES)


def test_a_line_that_comes_later_belongs_to_a_request_that_is_known() -> None:
    about = About(None, TRACE)
    assert about.among(LINES[:1]) == LINES[:1]
    assert about.among(LINES[2:3]) == LINES[2:3]


def test_what_is_no_trace_id_is_refused_with_what_one_is() -> None:
    with pytest.raises(errors.Invalid, match="no trace id") as refused:
        About(None, "r1")
    assert "32 hexadecimal" in (refused.value.hint or "")


def test_an_attempt_that_failed_says_why_in_words() -> None:
    line = '{"time": "t", "attempt": "1", "status": 0, "flags": "UF", "duration_ms": 3, "route": "iris:split"}'
    [entry] = parse("gateway", [line])
    assert entry.fields["message"] == "attempt failed at the gateway"
    assert entry.fields["why"] == "no connection to the instance"
    assert entry.concerns("iris", [], None)


@pytest.mark.parametrize("given", ["", " "])
def test_an_empty_id_of_a_request_is_refused_and_does_not_fit_every_line(given: str) -> None:
    with pytest.raises(errors.Invalid, match="the id is empty"):
        About(given, None)
