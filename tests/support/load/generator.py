"""The open-loop generator's process: it sends each request when it is due, without waiting for earlier responses.

It uses one thread and one selector. Its waits are exact to about 50 microseconds: epoll has a resolution of whole
milliseconds, so the generator waits for epoll's descriptor with select(), which is finer.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import resource
import select
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from support.load.columns import REFUSED, SATURATED, TIMEOUT, WRONG, Columns
from support.load.connection import Connection

# Indices of the 64-bit numbers that parent and generator share through the control file.
READY, SENT, ANSWERED, FAILED, STOP = range(5)
WORDS = 5
_NS = 1_000_000_000


@dataclass(frozen=True)
class Plan:
    """The load: target, requests, rate, and limits."""

    address: tuple[str, int]
    rate: float
    count: int
    request: Callable[[int], bytes]
    check: Callable[[int, bytes], bool] | None = None
    accepted: frozenset[int] = frozenset({200})
    timeout_s: float = 15.0
    connections: int = 2000
    idle_s: float = 1.0
    """A connection that is idle for longer is closed. Servers keep idle connections longer than this, so a reset on a
    reused connection is the server's fault."""


@dataclass
class Report:
    """The result that the process returns to its parent."""

    columns: Columns
    count: int
    versions: list[str]
    revisions: list[str]
    offset: int
    """Wall clock minus monotonic clock at the start, in nanoseconds."""
    cpu_s: float
    wall_s: float
    samples: dict[int, str] = field(default_factory=dict)


class Generator:
    """Sends the requests of a plan and records their outcomes."""

    def __init__(self, plan: Plan, words: memoryview[int]) -> None:
        self._plan = plan
        self._words = words
        self._columns = Columns.of(plan.count)
        self._names: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
        self._idle: deque[Connection] = deque()
        self._busy: dict[int, Connection] = {}  # by request index, so in the order in which they time out
        self._open = 0
        self._samples: dict[int, str] = {}
        self._selector = selectors.DefaultSelector()
        self._parent = os.getppid()

    def run(self) -> Report:
        """Send all requests, wait for the last responses, and return the report."""
        offset, start, cpu = time.time_ns() - time.monotonic_ns(), time.monotonic_ns(), time.process_time()
        self._words[READY] = 1
        sent = self._send_all(start)
        while self._busy:
            self._poll(_NS // 100)
        wall = (time.monotonic_ns() - start) / _NS
        names = [[name.decode("latin-1") for name in column] for column in self._names]
        return Report(self._columns, sent, names[0], names[1], offset, time.process_time() - cpu, wall, self._samples)

    def _send_all(self, start: int) -> int:
        interval = _NS / self._plan.rate
        for index in range(self._plan.count):
            due = start + int(index * interval)
            while (left := due - time.monotonic_ns()) > 0:
                self._poll(left)
            if index % 64 == 0:
                self._poll(0)  # responses must be read even if the generator is far behind
                if os.getppid() != self._parent:
                    return index
            if self._words[STOP]:
                return index
            self._send(index, due)
        return self._plan.count

    def _poll(self, left: int) -> None:
        """Wait at most `left` nanoseconds for socket events, and handle them."""
        timeout = min(left / _NS, 0.05)
        if timeout > 0 and isinstance(self._selector, selectors.EpollSelector):
            select.select([self._selector.fileno()], [], [], timeout)
            timeout = 0
        for key, events in self._selector.select(timeout):
            connection: Connection = key.data
            if events & selectors.EVENT_WRITE and connection.index >= 0 and connection.is_writable_now():
                if connection.index >= 0:
                    self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
            elif events & selectors.EVENT_READ:
                connection.readable()
        self._expire(time.monotonic_ns())

    def _send(self, index: int, due: int) -> None:
        now = time.monotonic_ns()
        self._columns.scheduled[index] = due
        self._columns.lag[index] = now - due
        self._words[SENT] = index + 1
        connection = self._idle.pop() if self._idle else self._connect()
        if connection is None:
            self._finish(index, due, SATURATED)
            return
        self._busy[index] = connection
        connection.index = index
        if connection.is_refused:
            self.broken(connection, REFUSED)
        elif not connection.begin(index, self._plan.request(index)):
            self._selector.modify(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _connect(self) -> Connection | None:
        if self._open >= self._plan.connections:
            return None
        self._open += 1
        connection = Connection(self._plan.address, self)
        self._selector.register(connection.sock, selectors.EVENT_READ, connection)
        return connection

    def _drop(self, connection: Connection) -> None:
        self._open -= 1
        self._selector.unregister(connection.sock)
        connection.close()

    def _expire(self, now: int) -> None:
        while self._idle and now - self._idle[0].since > self._plan.idle_s * _NS:
            self._drop(self._idle.popleft())
        while self._busy:
            connection = next(iter(self._busy.values()))
            if now - self._columns.scheduled[connection.index] < self._plan.timeout_s * _NS:
                return
            self.broken(connection, TIMEOUT)

    def answered(self, connection: Connection, status: int) -> None:
        """Record a complete response."""
        if status < 200:
            return
        index, body = connection.index, b"".join(connection.body)
        if index < 0:  # a response without a request
            self.broken(connection, 0)
            return
        columns, plan = self._columns, self._plan
        columns.version[index] = self._code(0, connection.version)
        columns.revision[index] = self._code(1, connection.revision)
        outcome = status
        if status in plan.accepted and plan.check is not None and not plan.check(index, body):
            outcome = WRONG
        if outcome not in plan.accepted and outcome not in self._samples:
            self._samples[outcome] = f"{status} {body[:400].decode(errors='replace')}"
        del self._busy[index]
        self._finish(index, columns.scheduled[index], outcome)
        connection.index, connection.since = -1, time.monotonic_ns()
        if connection.keep:
            self._idle.append(connection)
        else:
            self._drop(connection)

    def broken(self, connection: Connection, kind: int) -> None:
        """Record the failure of the request on this connection, and drop the connection."""
        if connection.index < 0:
            if connection in self._idle:
                self._idle.remove(connection)
                self._drop(connection)
            return
        del self._busy[connection.index]
        self._finish(connection.index, self._columns.scheduled[connection.index], kind)
        connection.index = -1
        self._drop(connection)

    def _finish(self, index: int, due: int, outcome: int) -> None:
        self._columns.latency[index] = time.monotonic_ns() - due
        self._columns.outcome[index] = outcome
        self._words[ANSWERED] += 1
        if outcome not in self._plan.accepted:
            self._words[FAILED] += 1

    def _code(self, column: int, name: bytes) -> int:
        if not name:
            return -1
        names = self._names[column]
        return names.setdefault(name, len(names))


def main() -> None:
    """Read the plan from stdin and the path of the control file from the arguments. Write the report to stdout."""
    plan: Plan = pickle.load(sys.stdin.buffer)
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    gc.disable()  # a pause of the generator would look like one of the server; the process is short-lived
    with (
        open(sys.argv[1], "r+b") as file,
        mmap.mmap(file.fileno(), WORDS * 8) as shared,
        memoryview(shared) as octets,
        octets.cast("q") as words,
    ):
        report = Generator(plan, words).run()
    sys.stdout.buffer.write(pickle.dumps(report))
