"""A recording: requests and their answers in files of JSON lines, written by model services (docs/recording.md).

A folder of recordings has one `ring-N` for each process that writes at the same time, and a ring has files whose names
are the Unix time in milliseconds of their beginning. The service deletes the oldest file when the ring is full.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, ValidationError

from fairlead import errors
from fairlead.contracts.base import Document

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
    model: str
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


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file or a folder has. `unreadable`: lines that are none, such as one that was cut off by a crash."""

    requests: list[Recorded]
    unreadable: int


def read(place: Path) -> Recording:
    """The requests of a file or of a folder of recordings, ordered by time.

    Raises NotFound if there is none, and Invalid for a file that is no recording.
    """
    if not place.exists():
        raise errors.NotFound(f"there is no recording {place}", hint="`fairlead recording list` shows what there is.")
    found: list[Recorded] = []
    unreadable = 0
    for file in files(place):
        try:
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:  # the service has just deleted it
            continue
        except OSError as cause:
            raise errors.Invalid(f"{file} cannot be read: {cause.strerror}", hint="Ask its owner for it.") from cause
        for line in lines:
            try:
                found.append(Recorded.model_validate(json.loads(line)))
            except (ValueError, RecursionError, ValidationError):
                unreadable += 1
    if unreadable and not found:
        raise errors.Invalid(f"{place} is no recording: none of its lines is a recorded request")
    return Recording(sorted(found, key=lambda one: one.time), unreadable)


def files(place: Path) -> Iterator[Path]:
    """The files of a recording, the oldest of each ring first."""
    if place.is_file():
        yield place
        return
    names = (place.glob(pattern) for pattern in (f"*{SUFFIX}", f"**/{RING}*/*{SUFFIX}"))
    yield from sorted(set(itertools.chain.from_iterable(names)))
