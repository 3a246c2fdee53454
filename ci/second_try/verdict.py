"""Which tests get a second try, and what the two tries together mean. No I/O.

The rules: a test that fails once and then passes alone does not fail CI, but it is named. Tests of one file that failed
in their setup share a fixture: they are tried together, and count once. Three things fail CI at once: more than
`MAX_TRIES` failures, because they are no accident; a failed teardown, which may belong to another test; and a test that
is listed in tests/flaky.md, because it needed a second try in an earlier run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from second_try.logs import Log, Outcome

MAX_TRIES = 3

_ROW = re.compile(r"^\|(?!-)(?! *test *\|).*$", re.MULTILINE)
_TEST = re.compile(r"^\| *`([^`]+::[^`]+)`")


@dataclass(frozen=True, slots=True)
class Plan:
    """`again` are the tests to run once more, each inner tuple in one run. `refused` says why CI fails without that."""

    again: tuple[tuple[Outcome, ...], ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """One test and its two runs; `second` is None where the second run did not report the test."""

    first: Outcome
    second: Outcome | None
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the second try passed."""
        return self.second is not None and not self.second.failed and not self.problem


def listed(page: str) -> frozenset[str]:
    """The tests that tests/flaky.md names: first column of its table, in backticks, without parameters.

    Raises ValueError for a row that names no test.
    """
    found = set()
    for row in _ROW.findall(page):
        named = _TEST.match(row)
        if named is None:
            raise ValueError(f"tests/flaky.md: this row does not begin with a test's id in backticks: {row}")
        found.add(_function(named[1]))
    return frozenset(found)


def plan(logs: Sequence[Log], known: Collection[str]) -> Plan:
    """What to run again. `known` are the tests that needed a second try in an earlier run, without parameters."""
    failed = tuple({outcome.test: outcome for log in logs for outcome in log.failed}.values())
    groups: dict[str, list[Outcome]] = {}
    for outcome in failed:
        groups.setdefault(outcome.test.partition("::")[0] if outcome.in_setup else outcome.test, []).append(outcome)
    refused = [log.problem for log in logs if log.problem]
    if len(groups) > MAX_TRIES:
        refused.append(f"{len(failed)} tests failed; at most {MAX_TRIES} are tried again, because more are no accident")
    refused += [
        f"{outcome.test}: a teardown failed, which may belong to a fixture that other tests share"
        for outcome in failed
        if outcome.in_teardown
    ]
    refused += [
        f"{outcome.test} failed, and tests/flaky.md says that it needed a second try before: mend it"
        for outcome in failed
        if _function(outcome.test) in known
    ]
    return Plan(refused=tuple(refused)) if refused else Plan(again=tuple(tuple(group) for group in groups.values()))


def tried(first: Outcome, log: Log) -> Tried:
    """A failed test together with its run alone."""
    second = next((outcome for outcome in log.outcomes if outcome.test == first.test), None)
    if log.problem:
        return Tried(first, second, log.problem)
    if second is None:
        return Tried(first, None, "the second run did not contain this test")
    return Tried(first, second, "the second run skipped this test" if second.skipped and not second.failed else "")


def _function(test: str) -> str:
    """A test's id without its parameters."""
    return test.partition("[")[0]
