"""Shows log lines that repeat once, and then their number.

A gateway's repeated failures are one line. An error with a traceback, and a line that a model prints, are shown once;
the same ones are counted from then on. Two of them are the same if one process wrote the same text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fairlead.local.log_files import GATEWAY, Entry
from fairlead.logs import local_time

_EQUAL = ("method", "path", "status", "grpc_status", "flags", "cluster")
"""The fields of a request that are the same for the same outcome."""
_MOST_KEPT = 1000
"""So many different lines are known at once: a platform runs for weeks. One that was forgotten is shown again."""
_LONGEST = 80


@dataclass
class Fold:
    """Shows the first of equal lines, and one line for the others before the next line that is none of these."""

    longest_s: float | None = None
    """After so long a gateway's line is shown again, and the number of others, for a reader who waits; None: never."""
    idle_calls: int | None = None
    """After so many calls of `add` without a line, what was held back is shown; None: never."""
    _open: dict[tuple[Any, ...], _Repeated] = field(default_factory=dict)
    _idle: int = 0

    def add(self, entries: Sequence[Entry]) -> Iterator[Entry]:
        """The lines to show now. What is held back comes with a later call, or with `rest`."""
        self._idle = 0 if entries else self._idle + 1
        if self._idle == self.idle_calls:
            yield from self.rest()
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
                if len(self._open) == _MOST_KEPT:
                    yield from self._shown(oldest := next(iter(self._open)))
                    self._open.pop(oldest, None)
                self._open[key] = _Repeated(entry, entry, entry)
                yield entry
            else:
                known.add(entry)

    def rest(self) -> Iterator[Entry]:
        """The lines for what was held back. What a process printed again is one line."""
        again: dict[str, list[_Repeated]] = {}
        for key, held in list(self._open.items()):
            if not held.first.is_printed:
                yield from self._shown(key)
            elif held.more:
                again.setdefault(held.first.source, []).append(held)
        for several in again.values():
            yield Counted.of_prints(several)
            for held in several:
                held.more = 0

    def _shown(self, key: tuple[Any, ...]) -> Iterator[Entry]:
        """The lines for what was held back of one kind. Only of a gateway's line it is forgotten that it was shown."""
        held = self._open[key]
        if held.first.source != GATEWAY:
            if held.more:
                yield held.counted()
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
    """The line for `more` lines that are the same as `first`, which was shown."""

    first: Entry
    more: int

    @classmethod
    def of(cls, first: Entry, last: Entry, more: int) -> Counted:
        """The line whose newest one is `last`."""
        cause = str(first.fields["traceback"]).partition("\n\n")[0]  # of what the service made of it
        what = cause.rstrip().rpartition("\n")[2]
        message = f"{what}: the same error {_times(more, last.time)}"
        return cls(first.source, {"time": last.time, "level": "error", "message": message}, first, more)

    @classmethod
    def of_prints(cls, again: Sequence[_Repeated]) -> Counted:
        """The line for all that a process printed again."""
        first, time, more = again[0].first, max(one.last.time for one in again), sum(one.more for one in again)
        text = str(first.fields["message"])
        what = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        if len(again) > 1:
            what = f"{len(again)} different lines that are above"
        return cls(first.source, {"time": time, "message": f"{what}: printed {_times(more, time)}"}, first, more)


def _times(more: int, last: str) -> str:
    when = local_time(last)[:8]
    return f"{more:,} more times until {when}" if more > 1 else f"once more at {when}"


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

    def counted(self) -> Counted:
        """The line with their number, for an error and for what was printed."""
        return Counted.of_prints([self]) if self.first.is_printed else Counted.of(self.first, self.last, self.more)

    def shown(self) -> Iterator[Entry]:
        """Of a gateway: the second of two as it is; one line for more."""
        if self.more == 1:
            yield self.last
        elif self.more:
            same = ("method", "path", "status")
            what = " ".join(str(self.last.fields[name]) for name in same if name in self.last.fields)
            if code := self.last.fields.get("grpc_status"):
                what = f"{what} (grpc_status {code})"
            text = f"gateway: {self.more:,} more like {what} until {local_time(self.last.time)[:8]}"
            yield Entry(GATEWAY, {"time": self.last.time, "level": self.last.fields["level"], "message": text})


def _key(entry: Entry) -> tuple[Any, ...] | None:
    """The same for equal lines; None for a line that is no error, no failed request and nothing that was printed."""
    if traceback := entry.fields.get("traceback"):
        return entry.source, str(entry.fields.get("message", "")), str(traceback)
    if entry.is_printed:
        return entry.source, str(entry.fields["message"])
    if entry.source != GATEWAY or "status" not in entry.fields:
        return None
    key = tuple(str(entry.fields.get(name, "")) for name in _EQUAL)
    return tuple(part.partition("?")[0] for part in key)
