"""Answer records for comparing versions: a ring buffer of fixed size, and counts of classes. Holds no inputs.

The ring is allocated once and never grows. Records that are not read in time are overwritten and counted as lost. A pod
is one process and has one ring. If several processes run behind one address, each has its own epoch. A reader that sees
a new epoch starts again: it may miss records, but never counts one twice.
"""

from __future__ import annotations

import binascii
import math
import uuid
from collections.abc import Sequence
from struct import Struct
from typing import Any

from fairlead.contracts.answers import AnswerRecord, Page, checksum, checksum_label
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.observe.problem_counts import ProblemCounts

RECORD = Struct("<16sdIHBx")
"""Request id, score (NaN: none), checksum of the label, status, flags (mirrored request, has a label): 32 bytes."""
MAX_LABELS = 1000
"""Number of labels returned by name. Any further labels of the model are returned as checksums."""
MAX_CLASSES = 64
OTHER = "other"
PAGE_SIZE = 2000
"""Records in one page. Writing one takes about a millisecond of the event loop."""
_SHADOW, _LABELLED = 1, 2
_GATEWAY_ID = 36
"""Length of a request id made by the gateway: a UUID with dashes. Ids made by the service have 32 characters."""


class AnswerRecords:
    """The ring of answer records and the class counts. Call all methods on the event loop only."""

    def __init__(self, reader: Reader, size: int) -> None:
        """`size` is the size of the ring in bytes. If it is less than one record, no records are kept."""
        self._reader = reader
        self._capacity = size // RECORD.size
        self._ring = bytearray(self._capacity * RECORD.size)
        self._end = 0
        self._epoch = uuid.uuid4().hex
        self._label_by_checksum: dict[int, str] = {}
        self._checksums: dict[str, int] = {}
        """Label to checksum, the inverse of `_label_by_checksum`."""
        self._classes: dict[str, int] = {}
        self.problems = ProblemCounts()

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
            at = (self._end % self._capacity) * RECORD.size
            label_checksum = 0 if label is None else self._checksum(label)
            RECORD.pack_into(self._ring, at, raw, math.nan if score is None else score, label_checksum, status, flags)
            self._end += 1

    def page(self, epoch: str, after: int) -> Page:
        """Records from position `after` on, at most PAGE_SIZE.

        With an empty `epoch` the page has no records, only the position to start from. With another epoch than this
        process's, it starts with the oldest record.
        """
        oldest = max(0, self._end - self._capacity)
        if not epoch:
            start = self._end
        elif epoch != self._epoch:
            start, after = oldest, 0
        else:
            start = min(max(after, oldest), self._end)
        stop = min(start + PAGE_SIZE, self._end)
        return Page(
            epoch=self._epoch,
            next=stop,
            lost=max(0, start - after) if epoch else 0,
            more=stop < self._end,
            fields=self._reader.fields,
            classes=dict(self._classes),
            answers=[self._record(number) for number in range(start, stop)],
            problems=self.problems.counts(),
        )

    def _count_class(self, label: str) -> None:
        classes = self._classes
        name = label if label in classes or len(classes) < MAX_CLASSES else OTHER
        classes[name] = classes.get(name, 0) + 1

    def _checksum(self, label: str) -> int:
        number = self._checksums.get(label)
        if number is None:
            number = checksum(label)
            if len(self._checksums) < MAX_LABELS:
                self._checksums[label] = number
                self._label_by_checksum.setdefault(number, label)
        return number

    def _record(self, number: int) -> AnswerRecord:
        raw, score, label, status, flags = RECORD.unpack_from(self._ring, (number % self._capacity) * RECORD.size)
        name = self._label_by_checksum.get(label) or checksum_label(label) if flags & _LABELLED else None
        return raw.hex(), name, None if math.isnan(score) else score, status, bool(flags & _SHADOW)
