"""Whether a command printed what the page says: word for word, but for what may change from run to run."""

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
# What a page may show as it once was, because its form says that it changes: 2.13 s, a digest, a point in time,
# a revision.
_MEASURED = {
    "time": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d| UTC)?"),
    "seconds": re.compile(r"(?<![\w.])\d+\.\d+(?= ?(?:s|ms)\b)"),
    "hash": re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,64}\b"),
    # One more is appended when a version becomes ready after the first one: which is first is chance.
    "revision": re.compile(r"\b[a-z][a-z0-9-]*\.\d+\b(?!\.?\w)"),
}
_TOKEN = re.compile(r"\.\.\.|<(" + "|".join(_PLACEHOLDERS) + r")>")


def matches(expected: Sequence[str], actual: str) -> bool:
    """A line `...` stands for any lines, `...` inside a line for any text, `<number>` and its like for one value.

    What changes by its form needs no placeholder: durations with a fraction, digests, points in time, revisions. Runs
    of spaces are one space; blank lines at the ends do not count. An empty expectation fits everything.
    """
    if not expected:
        return True
    return _fits([_squeeze(line) for line in expected], _lines(actual))


def difference(expected: Sequence[str], actual: str) -> str:
    """What a person should see when they do not match."""
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
