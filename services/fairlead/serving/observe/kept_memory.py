"""What the rows of a request need in memory while something here keeps them: the recorder, and the counts of drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Ticket(Protocol):
    """One request that was queued: its rows, and how large it is."""

    @property
    def rows(self) -> Sequence[Any]:
        """All its rows; none once it has failed."""

    @property
    def memory(self) -> int:
        """The memory of its rows in bytes, with all that is in them; 0 if `size` says enough."""

    @property
    def size(self) -> int:
        """The bytes of its JSON; 0 if `memory` says enough."""


class RowMemory(Protocol):
    """What rows need, in bytes."""

    @property
    def row(self) -> int:
        """A row without lists and objects."""

    @property
    def per_byte(self) -> int:
        """What a byte of JSON becomes, without `row`."""

    @property
    def has_files(self) -> bool:
        """Whether a row has the pixels of files, which `row` has, and nothing of the files."""


def memory_of(ticket: Ticket, rows: int, of: RowMemory) -> int:
    """An estimate of the bytes that so many rows need, which are all of the request."""
    beside = 0 if of.has_files else ticket.size * of.per_byte
    return max(ticket.memory, rows * of.row + beside)
