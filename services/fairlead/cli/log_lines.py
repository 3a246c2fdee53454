"""Which log lines `fairlead logs` shows: what repeats never pushes out all others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from fairlead import errors
from fairlead.local.log_files import GATEWAY, Entry
from fairlead.local.repeated_lines import Counted

MAX_NOISY_SHARE = 0.5
"""Of the lines shown, as long as there are others: a model that is down fails requests faster than it says why, and one
that prints at every request prints faster still."""
_TRACE_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_Kind = Literal["gateway", "printed", "other"]


class About:
    """Which lines are about a request, or about the requests of a trace. Without either, all are."""

    def __init__(self, request: str | None, trace: str | None) -> None:
        """Raises Invalid for what is no id of a request or a trace; a whole `traceparent` has one of the latter."""
        if request is not None and not request.strip():  # every line would mention it
            raise errors.Invalid("--request: the id is empty", hint="a response has it in the header x-request-id")
        found = _TRACE_ID.search(trace.lower()) if trace is not None else None
        if trace is not None and found is None:
            raise errors.Invalid(
                f"{trace!r} is no trace id", hint="it has 32 hexadecimal digits, as in the header traceparent"
            )
        self.what = f"the trace {trace}" if request is None else f"the request {request}"
        self.is_everything = request is None and trace is None
        self._trace = found[0] if found is not None else None
        self._requests = {request} if request is not None else set[str]()

    def among(self, entries: Sequence[Entry]) -> list[Entry]:
        """The lines that are. Only some lines name the trace: the requests that they name are its."""
        if self.is_everything:
            return [*entries]
        if self._trace is not None:
            ours = [one.fields for one in entries if one.fields.get("trace_id") == self._trace]
            self._requests |= {str(fields["request_id"]) for fields in ours if "request_id" in fields}
        return [one for one in entries if any(map(one.mentions, self._requests))]


def newest(entries: Sequence[Entry], limit: int) -> list[Entry]:
    """The newest `limit` lines. If there are enough others, at most half of them are the gateway's or were printed by
    a model, and at most half of these are of the same kind."""
    there = Counter(map(_kind, entries))
    noisy_left = max(int(limit * MAX_NOISY_SHARE), limit - there["other"])
    left = {
        "gateway": max(noisy_left - noisy_left // 2, noisy_left - there["printed"]),
        "printed": max(noisy_left // 2, noisy_left - there["gateway"]),
    }
    found: list[Entry] = []
    for entry in reversed(entries):
        if len(found) == limit:
            break
        if (kind := _kind(entry)) != "other":
            if not (left[kind] and noisy_left):
                continue
            left[kind] -= 1
            noisy_left -= 1
        found.append(entry)
    shown = set(map(id, found))
    return [
        _with_traceback(one) if isinstance(one, Counted) and id(one.first) not in shown else one for one in found[::-1]
    ]


def _kind(entry: Entry) -> _Kind:
    return "gateway" if entry.source == GATEWAY else "printed" if entry.is_printed else "other"


def _with_traceback(line: Counted) -> Entry:
    """The line for a reader who is not shown the first error."""
    traceback = line.first.fields.get("traceback")
    return line if traceback is None else Entry(line.source, {**line.fields, "traceback": traceback})
