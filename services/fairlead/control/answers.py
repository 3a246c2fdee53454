"""Reads answer records from the ring buffer of each instance, every second, on separate threads.

Reading starts at the end of an instance's ring when its answers are first requested, and continues by cursor: no record
is returned twice, and records that were overwritten before they were read count as lost. An instance that does not
answer, or byte by byte, is read until its time is up, while turns go on with the others. It holds one of MAX_CONCURRENT
threads: only when so many are that slow, the others wait for a thread. The loop that rolls back never waits.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pydantic import ValidationError

from fairlead.contracts import json_text
from fairlead.contracts.answers import PATH, Page, add_classes
from fairlead.contracts.route import VersionRef
from fairlead.control import bounded
from fairlead.control.service_increase import TotalsReader
from fairlead.rollout.ports import Answer, CollectedAnswers, Increase, InstanceAddress

READ_INTERVAL_S = 1.0
MIN_INTERVAL_S = 0.2
TARGET_ANSWERS = 100
"""Answers to read from one instance per turn: when there are more, the rings are read more often."""
TIMEOUT_S = 1.0
"""For connecting, and for each packet of a page."""
TURN_S = 3.0
"""For all pages that are read from one instance at a time. To connect, with the handshake of TLS, comes on top."""
MAX_CONCURRENT = 8
MAX_PAGES = 16
"""Pages of one instance at a time: some 30,000 answers."""
MAX_ANSWERS = 50_000
"""Buffered answers of one route."""
WAIT_S = 1.0
"""A turn waits no longer than this for the instances that it began to read; a later turn takes what they answer."""
MAX_PAGE_BYTES = 1 << 20
"""The largest page accepted."""
SUBSCRIPTION_TIMEOUT_S = 15.0
"""Without a call of subscribe() for this long, reading stops and the buffers are dropped: another replica may lead now,
and counts the answers from here on."""


Connect = Callable[[InstanceAddress, float], http.client.HTTPConnection]
"""Makes the connection to an instance, with a timeout in seconds; it opens at the first request."""


def plain(instance: InstanceAddress, timeout_s: float) -> http.client.HTTPConnection:
    """Without TLS."""
    return http.client.HTTPConnection(instance.host, instance.port, timeout=timeout_s)


class _Failed(Exception):
    """A page could not be read."""


class _Ring:
    """One instance's ring buffer and the cursor in it. Not thread-safe."""

    def __init__(
        self, instance: InstanceAddress, connect: Connect, turn_s: float, monotonic: Callable[[], float]
    ) -> None:
        self.instance = instance
        self._turn_s = turn_s
        self._totals = TotalsReader(monotonic)
        self._http = connect(instance, TIMEOUT_S)
        self._epoch, self._after = "", 0
        self._classes: dict[str, int] = {}
        self._problems: dict[str, int] = {}

    def read(self) -> CollectedAnswers:
        """The answers recorded since the last call. Raises _Failed; the cursor then stays."""
        answers: list[Answer] = []
        lost, known, told = 0, self._classes, self._problems
        page: Page | None = None
        ends_at = time.monotonic() + self._turn_s
        for _ in range(MAX_PAGES):
            try:
                page, restarted = self._page(within_s=ends_at - time.monotonic())
            except _Failed:
                if page is None:
                    raise
                break  # return the pages read so far
            lost += page.lost
            answers += (
                Answer(name, self.instance.ref, shadow, status, label, score, page.fields)
                for name, label, score, status, shadow in page.answers
            )
            if restarted:
                # Counted from another start, so differences would be meaningless.
                known, told = page.classes, page.problems
            if not page.more:
                break
        self._classes = dict(page.classes) if page else {}
        self._problems = dict(page.problems) if page else {}
        ref = self.instance.ref
        classes, problems = _increases(known, self._classes), _increases(told, self._problems)
        increase = self._totals.increase(page.epoch, page.totals) if page else None
        return CollectedAnswers(
            answers,
            {ref: classes},
            lost,
            problems={ref: problems} if problems else {},
            increases={ref: increase} if increase else {},
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _page(self, within_s: float) -> tuple[Page, bool]:
        """The next page, and whether it is the first of its epoch (a restarted ring). Raises _Failed."""
        asked = {"epoch": self._epoch, "after": self._after, "problems": "true", "totals": "true"}
        try:
            path = f"{PATH}?{urlencode(asked)}"
            status, text = bounded.get(self._http, path, within_s=within_s, most=MAX_PAGE_BYTES)
            if status != http.client.OK:
                raise _Failed(f"status {status}")
            if len(text) > MAX_PAGE_BYTES:
                raise ValueError(f"a page of more than {MAX_PAGE_BYTES} bytes")
            page = Page.model_validate(json_text.read(text))
        except (OSError, http.client.HTTPException, ValueError, ValidationError) as error:
            self._http.close()
            raise _Failed(str(error) or type(error).__name__) from None
        restarted = page.epoch != self._epoch
        self._epoch, self._after = page.epoch, page.next
        return page, restarted


def _read(ring: _Ring) -> CollectedAnswers | None:
    """The answers of an instance since they were last read; None if it does not answer."""
    try:
        return ring.read()
    except _Failed:
        return None


def _increases(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: more for name, count in after.items() if (more := count - before.get(name, 0)) > 0}


@dataclass
class _Buffer:
    """The answers of one route since the last collect()."""

    answers: list[Answer] = field(default_factory=list)
    classes: dict[VersionRef, dict[str, int]] = field(default_factory=dict)
    lost: int = 0
    silent: set[str] = field(default_factory=set)
    problems: dict[VersionRef, dict[str, int]] = field(default_factory=dict)
    increases: dict[VersionRef, Increase] = field(default_factory=dict)

    def add(self, collected: CollectedAnswers) -> None:
        room = max(0, MAX_ANSWERS - len(self.answers))
        self.answers += collected.answers[:room]
        self.lost += collected.lost + max(0, len(collected.answers) - room)
        for ref, counts in collected.classes.items():
            self.classes[ref] = add_classes(self.classes.get(ref, {}), dict(counts))
        for ref, counts in collected.problems.items():
            self.problems[ref] = add_classes(self.problems.get(ref, {}), dict(counts))
        for ref, increase in collected.increases.items():
            self.increases[ref] = self.increases[ref].plus(increase) if ref in self.increases else increase


_Key = tuple[str, InstanceAddress]
"""A route and one of its instances."""


class AnswerRings:
    """`rollout.ports.AnswerSource`. Call `subscribe` and `collect` from one thread; the rings are read on others."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        every_s: float = READ_INTERVAL_S,
        connect: Connect = plain,
        turn_s: float = TURN_S,
        wait_s: float = WAIT_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`turn_s` is the time to read one instance, and a turn waits for `wait_s`: both by the clock of sockets."""
        self._log = log
        self._every_s = every_s
        self._connect, self._turn_s, self._wait_s = connect, turn_s, wait_s
        self._monotonic = monotonic
        self.pause_s = every_s
        """The pause between two turns."""
        self._lock = threading.Lock()
        self._wanted: Mapping[str, Sequence[InstanceAddress]] = {}
        self._subscribed_at = 0.0
        self._buffers: dict[str, _Buffer] = {}
        self._rings: dict[_Key, _Ring] = {}
        self._reading: dict[_Key, Future[CollectedAnswers | None]] = {}
        """What is being read; it outlasts the turn that began it if the instance is slow."""
        self._stopping = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)

    def subscribe(self, wanted: Mapping[str, Sequence[InstanceAddress]]) -> None:
        """Set the instances whose answers are read from now on, by route. The first such call starts the threads."""
        with self._lock:
            self._wanted = {route: tuple(instances) for route, instances in wanted.items() if instances}
            self._subscribed_at = self._monotonic()
            if self._wanted and self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=MAX_CONCURRENT, thread_name_prefix="answers")
                self._thread.start()

    def collect(self) -> Mapping[str, CollectedAnswers]:
        """The answers read since the last call, by route."""
        with self._lock:
            buffers, self._buffers = self._buffers, {}
        return {
            route: CollectedAnswers(
                one.answers, one.classes, one.lost, tuple(sorted(one.silent)), one.problems, one.increases
            )
            for route, one in buffers.items()
        }

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._pool is not None:
            self._thread.join()
            self._pool.shutdown(wait=True, cancel_futures=True)
        for ring in self._rings.values():
            ring.close()

    def turn(self) -> None:
        """Read every requested ring, but those that an earlier turn still reads, and take what was read by now.

        The pause before the next turn depends on how many answers there were.
        """
        with self._lock:
            expired = self._monotonic() - self._subscribed_at > SUBSCRIPTION_TIMEOUT_S
            wanted = {} if expired else dict(self._wanted)
            if expired:
                self._buffers = {}
        keys = [(route, instance) for route, instances in wanted.items() for instance in instances]
        for gone in self._rings.keys() - set(keys):
            self._drop(gone)
        has_new = not self._rings.keys() >= set(keys)
        for key in keys:
            self._rings.setdefault(key, _Ring(key[1], self._connect, self._turn_s, self._monotonic))
        most = 0
        for (route, instance), collected in self._read(keys):
            with self._lock:
                buffer = self._buffers.setdefault(route, _Buffer())
                if collected is None:
                    buffer.silent.add(instance.id)
                else:
                    buffer.add(collected)
                    most = max(most, len(collected.answers))
        min_s = min(MIN_INTERVAL_S, self._every_s)
        # It is not yet known how fast a new ring fills.
        target_s = min_s if has_new else self.pause_s * TARGET_ANSWERS / max(most, 1)
        self.pause_s = min(self._every_s, max(min_s, target_s))

    def _read(self, keys: Sequence[_Key]) -> Iterator[tuple[_Key, CollectedAnswers | None]]:
        if self._pool is None:
            return
        begun = {key: self._pool.submit(_read, self._rings[key]) for key in keys if key not in self._reading}
        self._reading |= begun
        wait(begun.values(), self._wait_s)
        for key in [key for key, reading in self._reading.items() if reading.done()]:
            yield key, self._reading.pop(key).result()

    def _drop(self, key: _Key) -> None:
        ring, reading = self._rings.pop(key), self._reading.pop(key, None)
        if reading is None:
            ring.close()
        else:
            reading.add_done_callback(lambda _: ring.close())  # a connection is closed by the thread that uses it

    def _run(self) -> None:
        complaint = ""
        while not self._stopping.wait(self.pause_s):
            try:
                self.turn()
                complaint = ""
            except (
                Exception
            ) as error:  # last resort of the thread: answers that cannot be read are missing evidence, not a crash
                message = f"{type(error).__name__}: {error}"
                if message != complaint:
                    self._log.exception("answers could not be read")
                complaint = message
