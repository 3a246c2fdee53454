"""Which log lines `fairlead logs` shows.

A gateway's repeated failures are one line, and never shown instead of all others. An error with a traceback is shown
once; the same one is counted from then on. Two errors are the same if a process wrote the same message and traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fairlead.local.log_files import GATEWAY, Entry
from fairlead.logs import local_time

MAX_GATEWAY_SHARE = 0.5
"""Of the lines shown, as long as there are others: a model that is down fails requests faster than it says why."""
_EQUAL = ("method", "path", "status", "flags", "cluster")
"""The fields of a failed request that are the same for the same failure."""


@dataclass
class Fold:
    """Shows the first of equal lines, and one line for the others before the next line that is none of these."""

    longest_s: float | None = None
    """After so long a gateway's line is shown again, and an error's number, for a reader who waits; None: never."""
    _open: dict[tuple[Any, ...], _Repeated] = field(default_factory=dict)

    def add(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The lines to show now. What is held back comes with a later call, or with `rest`."""
        for entry in entries:
            key = _key(entry)
            if key is None:
                yield from self.rest()
                yield entry
                continue
            known = self._open.get(key)
            if known is not None and self._is_over(known, entry):
                yield from self._shown(key)
                known = self._open.get(key)
            if known is None:
                self._open[key] = _Repeated(entry, entry, entry)
                yield entry
            else:
                known.add(entry)

    def rest(self) -> Iterator[Entry]:
        """The lines for what was held back."""
        for key in list(self._open):
            yield from self._shown(key)

    def _shown(self, key: tuple[Any, ...]) -> Iterator[Entry]:
        """The lines for what was held back of one kind. Of an error it stays known that it was shown."""
        held = self._open[key]
        if "traceback" in held.first.fields:
            if held.more:
                yield Counted.of(held.first, held.last, held.more)
            held.more = 0
        else:
            yield from held.shown()
            del self._open[key]

    def _is_over(self, known: _Repeated, entry: Entry) -> bool:
        if self.longest_s is None:
            return False
        try:
            lasted = datetime.fromisoformat(entry.time) - datetime.fromisoformat(known.since.time)
        except ValueError:
            return True
        return lasted.total_seconds() >= self.longest_s


@dataclass(frozen=True, slots=True)
class Counted(Entry):
    """The line for `more` errors that are the same as `first`, which was shown."""

    first: Entry
    more: int

    @classmethod
    def of(cls, first: Entry, last: Entry, more: int) -> Counted:
        """The line whose newest error is `last`."""
        cause = str(first.fields["traceback"]).partition("\n\n")[0]  # of what the service made of it
        what = cause.rstrip().rpartition("\n")[2]
        when = local_time(last.time)[:8]
        text = f"{more:,} more times until {when}" if more > 1 else f"once more at {when}"
        message = f"{what}: the same error {text}"
        return cls(first.source, {"time": last.time, "level": "error", "message": message}, first, more)


@dataclass
class _Repeated:
    """Equal lines: the first was shown. `since` is the first one that is counted, or `first`."""

    first: Entry
    last: Entry
    since: Entry
    more: int = 0

    def add(self, entry: Entry) -> None:
        """Count one more."""
        if not self.more and self.last is not self.first:
            self.since = entry
        self.more, self.last = self.more + 1, entry

    def shown(self) -> Iterator[Entry]:
        """Of a gateway: the second of two as it is; one line for more."""
        if self.more == 1:
            yield self.last
        elif self.more:
            same = {name: self.last.fields[name] for name in ("method", "path", "status") if name in self.last.fields}
            what = " ".join(map(str, same.values()))
            text = f"gateway: {self.more:,} more like {what} until {local_time(self.last.time)[:8]}"
            yield Entry(GATEWAY, {"time": self.last.time, "level": "warning", "message": text})


def newest(entries: Sequence[Entry], limit: int) -> list[Entry]:
    """The newest `limit` lines, at most half of them the gateway's if there are enough others."""
    others = sum(entry.source != GATEWAY for entry in entries)
    gateways_left = max(int(limit * MAX_GATEWAY_SHARE), limit - others)
    found: list[Entry] = []
    for entry in reversed(entries):
        if len(found) == limit:
            break
        if entry.source == GATEWAY:
            if not gateways_left:
                continue
            gateways_left -= 1
        found.append(entry)
    shown = set(map(id, found))
    return [
        _with_traceback(one) if isinstance(one, Counted) and id(one.first) not in shown else one for one in found[::-1]
    ]


def _with_traceback(line: Counted) -> Entry:
    """The line for a reader who is not shown the first error."""
    return Entry(line.source, {**line.fields, "traceback": line.first.fields["traceback"]})


def _key(entry: Entry) -> tuple[Any, ...] | None:
    """The same for lines about the same failure; None for a line that is neither an error nor a failed request."""
    if traceback := entry.fields.get("traceback"):
        return entry.source, str(entry.fields.get("message", "")), str(traceback)
    if entry.source != GATEWAY or "status" not in entry.fields:
        return None
    key = tuple(str(entry.fields.get(name, "")) for name in _EQUAL)
    return tuple(part.partition("?")[0] for part in key)
