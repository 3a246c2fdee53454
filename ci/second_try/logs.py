"""What pytest's report logs say: which tests failed, and whether a run came to its end.

The format is pytest-reportlog's: one JSON object on a line. A run ends with a `SessionFinish` line; a log without one
is of a run that crashed or was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSED, TESTS_FAILED = 0, 1
"""pytest's exit codes of a run that came to its end. Any other (interrupted, internal error, usage, no tests) is a
failure that a second try cannot mend."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of one run. `seconds` is the time of setup, test and teardown together."""

    test: str
    failed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """One run of pytest. `problem` says why its result cannot be trusted, "" where it can."""

    outcomes: tuple[Outcome, ...]
    problem: str = ""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The tests that failed, in the order in which they ran."""
        return tuple(one for one in self.outcomes if one.failed)


def read(path: Path) -> Log:
    """The run that wrote this log. A missing or cut log is a `problem`, not an exception."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Log((), "pytest wrote no report log: it did not start")
    return parse(lines)


def parse(lines: Iterable[str]) -> Log:
    """The run whose log has these lines."""
    outcomes: dict[str, Outcome] = {}
    problem = "pytest did not finish: it crashed, was killed, or a test ran into its time limit"
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            break  # the last line of a run that was killed
        match entry.get("$report_type"):
            case "TestReport":
                _add(outcomes, entry)
            case "CollectReport" if entry["outcome"] == "failed":
                return Log(tuple(outcomes.values()), f"{entry['nodeid']} cannot be imported or collected")
            case "SessionFinish":
                problem = _problem_of(int(entry["exitstatus"]))
    return Log(tuple(outcomes.values()), problem)


def _add(outcomes: dict[str, Outcome], entry: dict[str, Any]) -> None:
    """A test has one entry for each of setup, call and teardown; it failed if one of them did."""
    test = entry["nodeid"]
    before = outcomes.get(test, Outcome(test, failed=False, seconds=0.0))
    failed = before.failed or entry["outcome"] == "failed"
    outcomes[test] = Outcome(test, failed, before.seconds + entry["duration"])


def _problem_of(exit_code: int) -> str:
    if exit_code in (PASSED, TESTS_FAILED):
        return ""
    return f"pytest ended with exit code {exit_code}: 2 is interrupted, 3 an internal error, 4 wrong usage, 5 no tests"
