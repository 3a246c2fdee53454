"""`Recorder`: keeps a share of the requests and their answers in files, beside the event loop (docs/recording.md).

The event loop decides by the request's id, and keeps references. A thread of its own takes out what is hidden, writes
JSON, and knows the disk. When more waits than MAX_WAITING or MAX_BYTES, or the disk refuses, requests are not recorded
and counted; no request is answered later or fails for it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import orjson
import pydantic_core
from pydantic import BaseModel

from fairlead.contracts.manifest import Manifest
from fairlead.serving.observe.hidden import Hidden
from fairlead.serving.observe.kept_memory import RowMemory, Ticket, memory_of
from fairlead.serving.observe.ring import FILES, Ring
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)

Outcome = Literal["written", "queue_full", "too_large", "not_json", "disk"]
MAX_WAITING = 1024
"""Requests that wait to be written; further ones are not recorded."""
MAX_BYTES = 16 * 1024 * 1024
"""The most memory of the rows that wait, as estimated; one request may be larger."""
AT_ONCE = 256
"""So many waiting requests are written at once, else those of PERIOD_S."""
PERIOD_S = 1.0
FORGET_S = 60.0
"""How often old files are looked for, at least."""
CLOSE_S = 2.0
"""How long the last requests may take to be written when the service ends."""
PAUSE_S = 0.0002
"""The pause after each written request: the event loop gets the interpreter in between."""
_ALL = 1 << 32


class Served(Protocol):
    """The model that is served."""

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""

    @property
    def row_type(self) -> type[BaseModel]:
        """The type of its rows."""

    @property
    def answer_type(self) -> type[BaseModel]:
        """The type of its answers."""


class Answered(NamedTuple):
    """A request that has ended. `answers` is None unless it was answered. What it has no id of is empty."""

    request_id: bytes
    trace_id: bytes
    revision: bytes
    protocol: str
    mirrored: bool
    status: int
    seconds: float
    rows: Sequence[Any]
    answers: Sequence[Any] | None


class Recorder:
    """Records the requests of one process. Call the methods on the event loop only."""

    def __init__(
        self,
        model: str,
        version: str,
        settings: Settings,
        hidden: Hidden,
        ring: Ring,
        memory: RowMemory,
        encode: Callable[[Sequence[Any]], bytes],
        count: Callable[[Mapping[Outcome, int]], None],
    ) -> None:
        """`encode` writes answers as a JSON list. `count` gets outcomes, on the event loop or on the thread."""
        self._below = round(settings.record_share * _ALL)
        self._hidden, self._ring, self._memory, self._encode, self._count = hidden, ring, memory, encode, count
        self._common = {"model": model, "version": version}
        self._waiting: deque[tuple[float, int, Answered]] = deque()
        self._added = self._done = 0  # bytes: only the event loop writes the first, only the thread the second
        self._wake = threading.Event()
        self._closing = False
        self._forget_s = min(FORGET_S, settings.record_age_s / FILES)
        self._fails = ""
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)

    def takes(self, request_id: bytes) -> bool:
        """Whether a request is recorded: by its id alone, so every version that is asked says the same."""
        return zlib.crc32(request_id) < self._below

    def add(self, answered: Answered, ticket: Ticket) -> None:
        """Record a request that has ended. Never waits."""
        needs = memory_of(ticket, len(answered.rows), self._memory)
        if self._waiting and (len(self._waiting) >= MAX_WAITING or self._added - self._done + needs > MAX_BYTES):
            self._count({"queue_full": 1})
            return
        self._waiting.append((time.time(), needs, answered))
        self._added += needs
        if len(self._waiting) == AT_ONCE:
            self._wake.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, for a short time, and end."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        forget_at = 0.0
        while not self._closing:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            self._write_waiting()
            if time.monotonic() >= forget_at:
                forget_at = time.monotonic() + self._forget_s
                with contextlib.suppress(OSError):
                    self._ring.forget()
        self._write_waiting()  # what has come since, before `close`
        self._ring.close()

    def _write_waiting(self) -> None:
        outcomes: Counter[Outcome] = Counter()
        for _ in range(len(self._waiting)):
            at, needs, answered = self._waiting.popleft()
            outcomes[self._written(at, answered)] += 1
            self._done += needs
            if not self._closing:
                time.sleep(PAUSE_S)
        if outcomes:
            self._count(outcomes)

    def _written(self, at: float, answered: Answered) -> Outcome:
        try:
            line = self._line(at, answered)
        except Exception as problem:  # an author's serializer may raise anything, and must not end the thread
            # Not its text: it may have a value of the row.
            logger.debug("a request cannot be recorded", extra={"reason": type(problem).__name__})
            return "not_json"
        if len(line) > self._ring.most_bytes:
            return "too_large"
        try:
            self._ring.write([line])
        except Exception as problem:  # an error without a count would end the thread, and all recording with it
            self._tell((isinstance(problem, OSError) and problem.strerror) or str(problem))
            return "disk"
        self._tell("")
        return "written"

    def _line(self, at: float, answered: Answered) -> bytes:
        rows = pydantic_core.to_json(
            self._hidden.rows(answered.rows), inf_nan_mode="constants", bytes_mode="base64", fallback=_plain
        )
        answers = None if answered.answers is None else self._hidden.answers(self._encode(answered.answers))
        facts = {
            "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
            "id": answered.request_id.decode(),
            "trace": answered.trace_id.decode(),
            "revision": answered.revision.decode(),
            **self._common,
            "protocol": answered.protocol,
            "mirrored": answered.mirrored,
            "status": answered.status,
            "ms": round(answered.seconds * 1000, 3),
            "answers": None if answers is None else orjson.Fragment(answers),
            "hidden": self._hidden.described,
            "rows": orjson.Fragment(rows),
        }
        return orjson.dumps(facts) + b"\n"

    def _tell(self, problem: str) -> None:
        """Log once that nothing can be written, and once that it works again."""
        if bool(problem) != bool(self._fails):
            if problem:
                logger.warning("requests are not recorded", extra={"reason": problem})
            else:
                logger.info("requests are recorded again")
        self._fails = problem


def recorder_of(
    served: Served,
    settings: Settings,
    workers: int,
    memory: RowMemory,
    encode: Callable[[Sequence[Any]], bytes],
    count: Callable[[Mapping[Outcome, int]], None],
) -> Recorder | None:
    """The recorder of a service; None if it records nothing. Its workers share the bytes.

    Raises Invalid if the settings or the manifest name a field to hide that the model does not have.
    """
    if not settings.record_share or settings.record_dir is None:
        return None
    manifest, said = served.manifest, served.manifest.recording
    redact, hashed = (*said.redact, *settings.record_redact), (*said.hash, *settings.record_hash)
    hidden = Hidden(served.row_type, served.answer_type, redact, hashed)
    ring = Ring(settings.record_dir, settings.record_bytes // workers, settings.record_age_s, time.time)
    return Recorder(manifest.name, manifest.version, settings, hidden, ring, memory, encode, count)


def _plain(value: Any) -> Any:
    """An array as a list."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is no JSON")
