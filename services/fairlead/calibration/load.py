"""The load generator: sends requests at their times over connections of its own, and notes when each was answered.

One thread and no event loop: asyncio wakes up only every millisecond, which is as long as a fast model takes.
"""

from __future__ import annotations

import gc
import math
import resource
import select
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.calibration.points import Window

ALONE_S = 60.0
LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 1000
SPARE_FILES = 100
CHUNK_BYTES = 1 << 18
QUEUE_TIMES = 4.0
"""A window ends early if so many times the requests are waiting that a service that meets the goal has in flight, so
many times the goal after its start, and LEAST_S."""
LEAST_S = 0.2
FEW_WAITING = 50
PATIENCE_TIMES = 5.0
LEAST_PATIENCE_S = 2.0
"""How long the last answers of a window are waited for: so many times the goal, at least these seconds."""
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def request(body: bytes, path: str = "/predict") -> bytes:
    """The bytes of a POST of this JSON."""
    head = f"POST {path} HTTP/1.1\r\nhost: {LOOPBACK}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection and the request that it carries."""

    socket: socket.socket
    at: int = -1
    """The place of its request in the window; -1 while it carries none."""
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytes = b""


class Load:
    """Sends load to one port. `requests` are sent in turn."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._most = max(1, min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES))
        self.refusal = b""
        """The body of the first answer that was not 200."""

    def close(self) -> None:
        """Close all connections."""
        for one in (*self._idle, *self._busy):
            one.socket.close()
        self._idle, self._busy = [], set()
        self._selector.close()

    def alone(self, count: int, seconds: float) -> list[float]:
        """Send requests one after the other: at most `count`, for at most `seconds`, at least one. Returns their times.

        An answer that is not 200 has infinity.
        """
        found: list[float] = []
        end = time.perf_counter() + seconds
        while len(found) < count and (not found or time.perf_counter() < end):
            window = self.run(1.0, [0.0], ALONE_S, first=len(found))
            found.append(window.answered[0] - window.sent[0])
        return found

    def run(self, rate: float, due: Sequence[float], goal_s: float, *, first: int = 0) -> Window:
        """Send a request at each of the times `due`, in seconds from now, and wait for the answers.

        A service that meets the goal has at most `rate` x `goal_s` requests in flight. When many more wait, the rest is
        not sent, and those in flight are given up: the service drops them.
        """
        clock = time.perf_counter
        count, most_waiting = len(due), FEW_WAITING + QUEUE_TIMES * rate * goal_s
        stops_from = LEAST_S + QUEUE_TIMES * goal_s
        self._open(math.ceil(min(rate * goal_s, self._most)))
        sent, answered = [math.inf] * count, [math.inf] * count
        failed: Counter[str] = Counter()
        cpu, start = time.process_time(), clock()
        last = start + (due[-1] if due else 0.0)
        patience = max(LEAST_PATIENCE_S, PATIENCE_TIMES * goal_s)
        place = done = 0
        stopped = False
        while done < count and not stopped:
            now = clock() - start
            while place < count and due[place] <= now and (one := self._free()) is not None:
                self._send(one, place, self._requests[(first + place) % len(self._requests)])
                sent[place] = clock() - start
                place += 1
            waiting = self._due_until(due, place, now) - done
            if (waiting > most_waiting and now > stops_from) or (place == count and start + now > last + patience):
                stopped = True
                break
            is_next = place < count and len(self._busy) < self._most
            timeout = max(due[place] - (clock() - start), 0.0) if is_next else 0.1
            # The selector itself would round the time up to a whole millisecond.
            if not select.select([self._selector.fileno()], [], [], timeout)[0]:
                continue
            for key, events in self._selector.select(0):
                one = key.data
                if events & selectors.EVENT_WRITE:
                    self._send_more(one)
                if events & selectors.EVENT_READ and (status := self._receive(one)) is not None:
                    at, one.at = one.at, -1
                    done += 1
                    if status == 200:
                        answered[at] = clock() - start
                    else:
                        failed[str(status) if status else "no answer"] += 1
        seconds = clock() - start
        self._give_up()
        return Window(
            rate=rate,
            due=due,
            sent=sent,
            answered=answered,
            seconds=seconds,
            stopped_early=stopped,
            failed=dict(failed),
            generator_cpu_s=time.process_time() - cpu,
        )

    @staticmethod
    def _due_until(due: Sequence[float], place: int, now: float) -> int:
        """How many requests are due by now; those before `place` are."""
        while place < len(due) and due[place] <= now:
            place += 1
        return place

    def _free(self) -> _Connection | None:
        """A connection that carries nothing; None if there can be no more."""
        if self._idle:
            one = self._idle.pop()
        elif len(self._busy) < self._most:
            one = self._opened()
        else:
            return None
        self._busy.add(one)
        return one

    def _open(self, count: int) -> None:
        """Have so many connections: opening one takes longer than a fast model."""
        while len(self._idle) < count:
            self._idle.append(self._opened())

    def _opened(self) -> _Connection:
        one = _Connection(socket.create_connection((LOOPBACK, self._port)))
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.socket.setblocking(False)
        self._selector.register(one.socket, selectors.EVENT_READ, one)
        return one

    def _send(self, one: _Connection, place: int, data: bytes) -> None:
        one.at, one.received = place, b""
        one.unsent = memoryview(data)
        self._send_more(one)
        if one.unsent:
            self._selector.modify(one.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, one)

    def _send_more(self, one: _Connection) -> None:
        try:
            one.unsent = one.unsent[one.socket.send(one.unsent) :]
        except BlockingIOError:
            return
        except OSError:  # the service has closed it: reading says so
            one.unsent = memoryview(b"")
        if not one.unsent:
            self._selector.modify(one.socket, selectors.EVENT_READ, one)

    def _receive(self, one: _Connection) -> int | None:
        """The status of a whole answer, None while it is not whole, 0 if the connection ended."""
        try:
            data = one.socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            return self._drop(one)
        one.received = one.received + data if one.received else data
        head, found, body = one.received.partition(_HEAD_END)
        if not found:
            return None
        lower = head.lower()
        length = int(lower.partition(_LENGTH)[2].partition(b"\r\n")[0])
        if len(body) < length:
            return None
        status = int(head[9:12])
        if status != 200 and not self.refusal:
            self.refusal = body
        if b"\r\nconnection: close" in lower:
            self._drop(one)
        else:
            self._busy.discard(one)
            self._idle.append(one)
        return status

    def _drop(self, one: _Connection) -> int | None:
        """Close a connection. 0 if it carried a request, else None."""
        self._selector.unregister(one.socket)
        one.socket.close()
        if one in self._busy:
            self._busy.discard(one)
            return 0
        self._idle.remove(one)
        return None

    def _give_up(self) -> None:
        for one in tuple(self._busy):
            self._drop(one)


@contextmanager
def without_collections() -> Iterator[None]:
    """Python's collector would stop the generator for milliseconds."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
