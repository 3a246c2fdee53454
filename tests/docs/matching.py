"""Compares a command's output with the page: it must be the same, except for values that change from run to run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

_PLACEHOLDERS = {
    "number": r"-?\d[\d,_]*(?:\.\d+)?",
    "seconds": r"\d+(?:\.\d+)?",
    "ms": r"\d+(?:\.\d+)?",
    "port": r"\d{2,5}",
    "pid": r"\d+",
    "hash": r"[0-9a-f]{6,64}",
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d| UTC)?|\d\d:\d\d(?::\d\d)?",
    "id": r"[0-9A-Za-z][0-9A-Za-z._-]*",
    "path": r"\S+",
    "revision": r"[a-z][a-z0-9-]*\.\d+",
}
# Values that may differ from the page without a placeholder, because their form shows that they change: durations with
# a fraction, digests, points in time, revisions.
_MEASURED = {
    "time": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d| UTC)?"),
    "seconds": re.compile(r"(?<![\w.])\d+\.\d+(?= ?(?:s|ms)\b)"),
    "hash": re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,64}\b"),
    # The numbers of revisions differ: which version is ready first is chance, and a later one adds a revision.
    "revision": re.compile(r"\b[a-z][a-z0-9-]*\.\d+\b(?!\.?\w)"),
}
_TOKEN = re.compile(r"\.\.\.|<(" + "|".join(_PLACEHOLDERS) + r")>")


def matches(expected: Sequence[str], actual: str) -> bool:
    """Whether the output matches the expected lines.

    A line `...` matches any number of lines, `...` inside a line any text, and placeholders such as `<number>` one
    value. Durations with a fraction, digests, points in time and revisions need no placeholder. Runs of spaces count as
    one space; blank lines at both ends are ignored. An empty expectation matches any output.
    """
    if not expected:
        return True
    return _fits([_squeeze(line) for line in expected], _lines(actual))


def difference(expected: Sequence[str], actual: str) -> str:
    """A diff of the expected lines and the output, for the error message."""
    shown = [_squeeze(line) for line in expected]
    return "\n".join(difflib.unified_diff(shown, _lines(actual), "the page", "the command", n=2, lineterm=""))


def _fits(expected: list[str], actual: list[str]) -> bool:
    # reachable[i]: the first i lines of `actual` can be explained by the expected lines seen so far
    reachable = [True] + [False] * len(actual)
    for line in expected:
        if line == "...":
            first = reachable.index(True) if True in reachable else len(reachable)
            reachable = [position >= first for position in range(len(reachable))]
        else:
            pattern = _pattern(line)
            reachable = [False] + [
                was and pattern.fullmatch(found) is not None for was, found in zip(reachable, actual, strict=False)
            ]
    return reachable[-1]


def _pattern(line: str) -> re.Pattern[str]:
    for name, measured in _MEASURED.items():
        line = measured.sub(f"<{name}>", line)
    parts, end = [], 0
    for token in _TOKEN.finditer(line):
        parts.append(re.escape(line[end : token.start()]))
        parts.append(f"(?:{_PLACEHOLDERS[token[1]]})" if token[1] else ".*")
        end = token.end()
    return re.compile("".join(parts) + re.escape(line[end:]))


def _squeeze(line: str) -> str:
    return " ".join(line.split())


def _lines(text: str) -> list[str]:
    lines = [_squeeze(line) for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines
