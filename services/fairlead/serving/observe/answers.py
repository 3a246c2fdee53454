"""What is kept of answers for whoever compares versions: counts of classes, and a ring of records of fixed size.

No inputs. The ring is allocated once and never grows; what nobody asks for in time is overwritten, and counted as lost.
A pod is one process and has one ring. Where somebody runs several processes behind one address, each has its own
epoch, and a reader that meets another epoch than before begins anew: it misses answers, and never counts one twice.
"""

from __future__ import annotations

import binascii
import math
import uuid
from collections.abc import Sequence
from struct import Struct
from typing import Any

from fairlead.contracts.answers import Kept, Page, checksum, unnamed
from fairlead.serving.observe.compared_fields import Reader

RECORD = Struct("<16sdIHBx")
"""Id, score (NaN for none), the label's checksum, status, whether it is a copy and has a label: 32 bytes."""
MAX_LABELS = 1000
"""Labels that are told by name; those of a model that answers more are told by their checksums."""
MAX_CLASSES = 64
OTHER = "other"
PAGE_SIZE = 2000
"""Answers in one page: about a millisecond of the event loop."""
_SHADOW, _LABELLED = 1, 2
_GATEWAY_ID = 36
"""The length of an id as the gateway makes it: a UUID with dashes. Ids of our own are 32 long."""


class AnswerRecords:
    """Event loop only."""

    def __init__(self, reader: Reader, size: int) -> None:
        """`size` is the ring's bytes; less than one record keeps none."""
        self._reader = reader
        self._capacity = size // RECORD.size
        self._ring = bytearray(self._capacity * RECORD.size)
        self._end = 0
        self._epoch = uuid.uuid4().hex
        self._label_by_checksum: dict[int, str] = {}
        self._checksums: dict[str, int] = {}
        """The other way round: whose checksum is known."""
        self._classes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """Bytes of the ring."""
        return len(self._ring)

    def add(self, request_id: bytes, status: int, rows: Sequence[Any], *, shadow: bool, record: bool) -> None:
        """Keep one answer; `rows` are empty where there is none. An id that the gateway did not make is passed over.

        Of an answer to many rows one is kept: the same one in every version, because the id picks it.
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
            number = 0 if label is None else self._checksum(label)
            RECORD.pack_into(self._ring, at, raw, math.nan if score is None else score, number, status, flags)
            self._end += 1

    def page(self, epoch: str, after: int) -> Page:
        """Answers since `after` of this epoch. Without an epoch none, and where to begin; with another's, all."""
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

    def _record(self, number: int) -> Kept:
        raw, score, label, status, flags = RECORD.unpack_from(self._ring, (number % self._capacity) * RECORD.size)
        name = self._label_by_checksum.get(label) or unnamed(label) if flags & _LABELLED else None
        return raw.hex(), name, None if math.isnan(score) else score, status, bool(flags & _SHADOW)
