"""What pytest's report logs say: which tests failed, and whether a run came to its end.

The format is pytest-reportlog's: one JSON object on a line. A run ends with a `SessionFinish` line; a log without one
is of a run that crashed or was killed. Beside each log, `LOG.exit` holds the exit code of its pytest: a process may
still fail after the last line, and then the log alone does not say so.
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
    failed: bool = False
    skipped: bool = False
    in_setup: bool = False
    """It failed in its setup, perhaps with others of its file that need the same fixture."""
    in_teardown: bool = False
    """It failed in a teardown: the fault may be in a fixture that other tests share."""
    seconds: float = 0.0


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
        exit_code = int(Path(f"{path}.exit").read_text())
    except (FileNotFoundError, ValueError):
        return Log((), f"pytest left no report log or no exit code in {path}: it did not start, or was killed")
    return parse(lines, exit_code)


def parse(lines: Iterable[str], exit_code: int) -> Log:
    """The run whose log has these lines, and whose process ended with this code."""
    outcomes: dict[str, Outcome] = {}
    finished = False
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            break  # the last line of a run that was killed
        match entry.get("$report_type"):
            case "TestReport" | "SubTestReport":
                _add(outcomes, entry)
            case "CollectReport" if entry["outcome"] == "failed":
                return Log(tuple(outcomes.values()), f"{entry['nodeid']} cannot be imported or collected")
            case "SessionFinish":
                finished = True
    found = tuple(outcomes.values())
    return Log(found, _problem(found, exit_code) if finished else "pytest did not finish: it crashed or was killed")


def _add(outcomes: dict[str, Outcome], entry: dict[str, Any]) -> None:
    """A test has one entry for each of setup, call and teardown; it failed if one of them did."""
    test, result, when = entry["nodeid"], entry["outcome"], entry["when"]
    before = outcomes.get(test, Outcome(test))
    outcomes[test] = Outcome(
        test,
        before.failed or result == "failed",
        before.skipped or result == "skipped",
        before.in_setup or (result == "failed" and when == "setup"),
        before.in_teardown or (result == "failed" and when == "teardown"),
        before.seconds + entry["duration"],
    )


def _problem(outcomes: tuple[Outcome, ...], exit_code: int) -> str:
    if exit_code not in (PASSED, TESTS_FAILED):
        return (
            f"pytest ended with exit code {exit_code}: 2 is interrupted, 3 an internal error, 4 wrong usage, 5 no tests"
        )
    if (exit_code == TESTS_FAILED) != any(one.failed for one in outcomes):
        return f"pytest ended with exit code {exit_code}, which the failed tests in its log do not explain"
    return ""
