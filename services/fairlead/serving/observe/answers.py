"""Answer records for comparing versions: a ring buffer of fixed size, and counts of classes. Holds no inputs.

The ring is allocated once and never grows. Records that are not read in time are overwritten and counted as lost. The
workers of a service write to one ring, so any of them can answer its reader. If several services run behind one
address, each has its own epoch. A reader that sees a new epoch starts again: it may miss records, but never counts one
twice.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any

from fairlead.contracts.answers import AnswerRecord, Page, checksum, checksum_label
from fairlead.serving.observe.compared_fields import MAX_LABEL_CHARS, Reader
from fairlead.serving.observe.counts import Counts
from fairlead.serving.observe.problem_counts import ProblemCounts
from fairlead.serving.observe.shared_memory import SharedMemory

RECORD = Struct("<16sdIHBx")
"""Request id, score (NaN: none), checksum of the label, status, flags (mirrored request, has a label): 32 bytes."""
MAX_LABELS = 1000
"""Number of labels of one worker returned by name. Any further labels of the model are returned as checksums."""
MAX_CLASSES = 64
"""Number of classes that one worker counts by name."""
OTHER = "other"
PAGE_SIZE = 2000
"""Records in one page. Writing one takes about a millisecond of the event loop."""
_SHADOW, _LABELLED = 1, 2
_END_BYTES = 8
_LABEL_BYTES = 4 * MAX_LABEL_CHARS
_GATEWAY_ID = 36
"""Length of a request id made by the gateway: a UUID with dashes. Ids made by the service have 32 characters."""


def memory_for(size: int, workers: int | None = None, more: int = 0) -> SharedMemory:
    """Memory for so many workers, or for a process that is none, with a ring of `size` bytes in its common part, and
    `more` bytes for others."""
    return SharedMemory(workers, size // RECORD.size * RECORD.size + _END_BYTES + more)


class AnswerRecords:
    """The ring of answer records and the class counts. Call all methods on the event loop only."""

    def __init__(self, reader: Reader, size: int, memory: SharedMemory | None = None) -> None:
        """`size` is the size of the ring in bytes. If it is less than one record, no records are kept.

        `memory` is one of `memory_for(size)`.
        """
        self._reader = reader
        self._capacity = size // RECORD.size
        memory = memory or memory_for(size)
        self._lock = memory.lock
        self._ring = memory.common(self._capacity * RECORD.size)
        self._ended = memory.common(_END_BYTES).cast("q")  # how many records have been written
        self._epoch = memory.epoch
        self._labels = Counts(memory, MAX_LABELS, _LABEL_BYTES)
        self._checksums: dict[str, int] = {}
        self._label_by_checksum: dict[int, str] = {}
        self._classes = Counts(memory, MAX_CLASSES + 1, _LABEL_BYTES)
        self.problems = ProblemCounts(memory)

    @property
    def size(self) -> int:
        """Size of the ring in bytes."""
        return len(self._ring)

    def add(self, request_id: bytes, status: int, rows: Sequence[Any], *, shadow: bool, record: bool) -> None:
        """Count one answer's class and, if `record` is set, record the answer. `rows` is empty for a failed request.

        Requests whose id was not made by the gateway are ignored. Of an answer with several rows, one row is used. The
        request id selects it, so every version uses the same row. Mirrored requests (`shadow`) are not counted.
        """
        if len(request_id) != _GATEWAY_ID:
            return
        try:
            raw = binascii.unhexlify(request_id.replace(b"-", b""))
        except ValueError:
            return
        if len(raw) != 16:
            return
        label, score = self._reader.read(rows[int.from_bytes(raw[:4]) % len(rows)]) if rows else (None, None)
        if label is not None and not shadow:
            self._count_class(label)
        if record and self._capacity:
            flags = _SHADOW * shadow | _LABELLED * (label is not None)
            label_checksum = 0 if label is None else self._checksum(label)
            value = math.nan if score is None else score
            with self._lock:
                at = (self._ended[0] % self._capacity) * RECORD.size
                RECORD.pack_into(self._ring, at, raw, value, label_checksum, status, flags)
                self._ended[0] += 1

    def page(self, epoch: str, after: int) -> Page:
        """Records from position `after` on, at most PAGE_SIZE.

        With an empty `epoch` the page has no records, only the position to start from. With another epoch than this
        service's, it starts with the oldest record.
        """
        with self._lock:
            end = self._ended[0]
            oldest = max(0, end - self._capacity)
            if not epoch:
                start = end
            elif epoch != self._epoch:
                start, after = oldest, 0
            else:
                start = min(max(after, oldest), end)
            stop = min(start + PAGE_SIZE, end)
            records = [self._raw(number) for number in range(start, stop)]
        names = self._names() if records else {}
        return Page(
            epoch=self._epoch,
            next=stop,
            lost=max(0, start - after) if epoch else 0,
            more=stop < end,
            fields=self._reader.fields,
            classes={name: int(count) for name, count in self._classes.totals().items()},
            answers=[_record(raw, names) for raw in records],
            problems=self.problems.counts(),
        )

    def _raw(self, number: int) -> bytes:
        at = (number % self._capacity) * RECORD.size
        return bytes(self._ring[at : at + RECORD.size])

    def _names(self) -> dict[int, str]:
        """The labels by checksum that any worker has seen."""
        labels = self._labels.totals()
        if len(labels) != len(self._label_by_checksum):
            self._label_by_checksum = {checksum(label): label for label in reversed(labels)}
        return self._label_by_checksum

    def _count_class(self, label: str) -> None:
        classes = self._classes
        classes.add(label if label in classes or len(classes) < MAX_CLASSES else OTHER)

    def _checksum(self, label: str) -> int:
        number = self._checksums.get(label)
        if number is None:
            number = checksum(label)
            if len(self._labels) < MAX_LABELS:
                self._checksums[label] = number
                self._labels.place(label)
        return number


def _record(raw: bytes, names: Mapping[int, str]) -> AnswerRecord:
    request_id, score, label, status, flags = RECORD.unpack(raw)
    name = names.get(label) or checksum_label(label) if flags & _LABELLED else None
    return request_id.hex(), name, None if math.isnan(score) else score, status, bool(flags & _SHADOW)
