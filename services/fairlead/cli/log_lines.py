"""Which log lines `fairlead logs` shows: a gateway's repeated failures as one line, and never instead of all others."""

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
    """Shows the first of equal gateway lines, and one line for the others before the next line of another process."""

    longest_s: float | None = None
    """After so long equal lines are shown again, for a reader who waits; None: never."""
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
            if known is not None and not self._is_over(known, entry):
                known.more, known.last = known.more + 1, entry
                continue
            if known is not None:
                yield from self._open.pop(key).shown()
            self._open[key] = _Repeated(entry, entry)
            yield entry

    def rest(self) -> Iterator[Entry]:
        """The lines for what was held back."""
        held, self._open = self._open, {}
        for one in held.values():
            yield from one.shown()

    def _is_over(self, known: _Repeated, entry: Entry) -> bool:
        if self.longest_s is None:
            return False
        try:
            lasted = datetime.fromisoformat(entry.time) - datetime.fromisoformat(known.first.time)
        except ValueError:
            return True
        return lasted.total_seconds() >= self.longest_s


@dataclass
class _Repeated:
    """Equal gateway lines: the first was shown."""

    first: Entry
    last: Entry
    more: int = 0

    def shown(self) -> Iterator[Entry]:
        """The second of two as it is; one line for more."""
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
    return found[::-1]


def _key(entry: Entry) -> tuple[Any, ...] | None:
    """The same for lines about the same failure; None for a line that is none of the gateway's failed requests."""
    if entry.source != GATEWAY or "status" not in entry.fields:
        return None
    key = tuple(str(entry.fields.get(name, "")) for name in _EQUAL)
    return tuple(part.partition("?")[0] for part in key)
