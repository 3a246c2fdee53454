"""A recording: requests and their answers in files of JSON lines, written by model services (docs/recording.md).

A folder of recordings has one `ring-N` for each process that writes at the same time, and a ring has files whose names
are the Unix time in milliseconds of their beginning. The service deletes the oldest file when the ring is full.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AwareDatetime, ValidationError

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.contracts.base import Document
from fairlead.contracts.manifest import ModelName

RING = "ring-"
"""What the name of a ring's folder begins with."""
SUFFIX = ".jsonl"
RECORD_DIR = "FAIRLEAD_SERVING_RECORD_DIR"
"""The variable with the folder, which is in a service's own environment."""
FOLDER = "recordings"
"""The folder in `.fairlead/` with those of each model and version."""


class Recorded(Document):
    """One request of a client and its answer: a line of a recording."""

    time: AwareDatetime
    id: str
    """The request's id, the same in every version that was asked."""
    trace: str = ""
    """The id of its trace, if it has one."""
    revision: str = ""
    """The revision of the route that the gateway followed, `iris.12`; empty without a gateway."""
    model: ModelName
    version: str
    protocol: str
    """predict, v1, v2 or grpc."""
    mirrored: bool = False
    """Whether a gateway copied it for a shadow."""
    status: int
    ms: float
    """From the request's head to its answer, in milliseconds."""
    rows: list[Any]
    """As clients send them to /predict."""
    answers: list[Any] | None = None
    """As /predict answers them, one for each row; None unless the status is 200."""
    hidden: dict[str, str] = {}
    """The fields whose values are not here, and what is: `redacted` (nothing), `hashed` or `digest` (of pixels)."""


class Line(NamedTuple):
    """A request and the line that it was read from, without its end."""

    request: Recorded
    text: str


class Reader:
    """Reads a file or a folder of recordings line by line: a folder is larger than the memory of the service's pod."""

    def __init__(self, place: Path) -> None:
        """Raises NotFound if there is nothing at this place."""
        if not place.exists():
            hint = "`fairlead recording list` shows what there is."
            raise errors.NotFound(f"there is no recording {place}", hint=hint)
        self._place = place
        self._readable = self.unreadable = 0
        """Lines that are no requests, such as one that was cut off by a crash, as far as was read."""

    def __iter__(self) -> Iterator[Line]:
        """The requests, ordered by time. Raises Invalid for a file that is no recording, when it was read."""
        yield from heapq.merge(*self._streams(), key=_time)
        if self.unreadable and not self._readable:
            raise errors.Invalid(
                f"{self._place} is no recording: none of its lines is a recorded request",
                hint="Name a file that `fairlead recording fetch --to FILE` has written, or a folder of recordings.",
            )

    def _streams(self) -> Iterator[Iterator[Line]]:
        """Lines that are ordered by time: those of each ring, of which one file is open at a time, and other files."""
        for folder, own in itertools.groupby(files(self._place), lambda file: file.parent):
            if folder.name.startswith(RING):
                yield self._lines_of(list(own))
            else:  # somebody has put it together: in any order
                yield from (iter(sorted(self._lines(file), key=_time)) for file in own)

    def _lines_of(self, ring: list[Path]) -> Iterator[Line]:
        for file in ring:
            yield from self._lines(file)

    def _lines(self, file: Path) -> Iterator[Line]:
        try:
            with file.open("rb") as opened:
                for line in opened:
                    if found := _read(line):
                        self._readable += 1
                        yield found
                    else:
                        self.unreadable += 1
        except FileNotFoundError:  # the service has just deleted it
            return
        except OSError as cause:
            raise errors.Invalid(f"{file} cannot be read: {cause.strerror}", hint="Ask its owner for it.") from cause


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file or a folder has. `unreadable`: lines that are none, such as one that was cut off by a crash."""

    requests: list[Recorded]
    unreadable: int


def read(place: Path) -> Recording:
    """All requests of a file or of a folder of recordings, ordered by time. They need several times its bytes.

    Raises NotFound if there is none, and Invalid for a file that is no recording.
    """
    reader = Reader(place)
    return Recording(sorted((line.request for line in reader), key=lambda one: one.time), reader.unreadable)


def _read(line: bytes) -> Line | None:
    try:
        text = line.decode().rstrip("\r\n")
        request = Recorded.model_validate(json_text.read(text))
        request.time.astimezone(UTC)  # a time that UTC does not have could not be shown
    except (ValueError, OverflowError, RecursionError, ValidationError):
        return None
    return Line(request, text)


def _time(line: Line) -> datetime:
    return line.request.time


def files(place: Path) -> Iterator[Path]:
    """The files of a recording, the oldest of each ring first."""
    if place.is_file():
        yield place
        return
    names = (place.glob(pattern) for pattern in (f"*{SUFFIX}", f"**/{RING}*/*{SUFFIX}"))
    yield from sorted(set(itertools.chain.from_iterable(names)))
