"""A closed-loop load generator: each connection sends its next request when its last response has been checked.

It measures throughput at a fixed concurrency, and its own CPU share: near 100 % it measures itself, not the server.

    python -m support.load.closed_loop --port 8080 --path /predict --body '{...}' --expect '{...}' --seconds 3
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fairlead.contracts import golden
from support.processes import ProcessFailed

_TESTS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Result:
    """The result of a run. `cpu_share` is the generator's CPU time divided by wall time."""

    requests: int
    requests_per_s: float
    cpu_share: float


class WrongAnswer(Exception):
    """A response was not the expected one, so the measurement is not valid."""


class BodyCheck:
    """Checks that a body is the expected JSON, with floats within `RTOL`: a batch may change the last digit.

    A body is parsed once. The same bytes again cost a lookup in a set.
    """

    RTOL = 1e-9

    def __init__(self, expect: bytes) -> None:
        self._expected = json.loads(expect)
        self._good = {expect}

    def check(self, body: bytes) -> None:
        """Raise WrongAnswer if the body is not the expected JSON."""
        if body in self._good:
            return
        try:
            difference = golden.compare(self._expected, json.loads(body), self.RTOL)
        except ValueError as problem:
            raise WrongAnswer(f"not JSON: {problem}: {body[:500]!r}") from problem
        if difference is not None:
            raise WrongAnswer(f"{difference}: {body[:500]!r}")
        self._good.add(body)


def request_bytes(path: str, body: bytes, headers: Sequence[str] = ()) -> bytes:
    """The bytes of a request. `headers` are lines such as `x-request-id: 1`."""
    lines = [f"POST {path} HTTP/1.1", "host: bench", "content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def run(address: tuple[str, int], request: bytes, expect: bytes, *, connections: int, seconds: float) -> Result:
    """Keep `connections` requests in flight for `seconds`. Raises WrongAnswer unless each gets a 200 with `expect`."""
    check = BodyCheck(expect)
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    received: dict[int, bytes] = {}
    for _ in range(connections):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(65536, 2 * len(request)))  # one call sends it
        connection.setblocking(False)
        sockets[connection.fileno()] = connection
        poll.register(connection.fileno(), select.EPOLLIN)
    replies = 0
    began, cpu = time.perf_counter(), time.process_time()
    for connection in sockets.values():
        connection.sendall(request)
    while time.perf_counter() - began < seconds:
        for descriptor, _ in poll.poll(1.0):
            connection = sockets[descriptor]
            data = connection.recv(65536)
            if not data:
                raise WrongAnswer("the server closed a connection")
            data = received.pop(descriptor, b"") + data
            if not _is_complete(data, check):
                received[descriptor] = data
                continue
            replies += 1
            connection.sendall(request)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    for connection in sockets.values():
        connection.close()
    return Result(replies, replies / wall, cpu / wall)


def run_in_process(
    port: int,
    path: str,
    body: bytes,
    expect: bytes,
    *,
    connections: int,
    seconds: float,
    headers: Sequence[str] = (),
    core: int | None = None,
) -> Result:
    """Run `run` in a child process, against loopback, pinned to the CPU `core` if given. Raises ProcessFailed."""
    command = [
        sys.executable,
        "-m",
        "support.load.closed_loop",
        "--port",
        str(port),
        "--path",
        path,
        "--body=-",
    ]
    command += ["--expect", expect.decode(), "--connections", str(connections), "--seconds", str(seconds)]
    command += [f"--header={line}" for line in headers]
    command += [] if core is None else ["--core", str(core)]
    done = subprocess.run(command, cwd=_TESTS, input=body.decode(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessFailed(f"{path} of port {port}: {done.stderr}")
    return Result(**json.loads(done.stdout))


def _is_complete(data: bytes, check: BodyCheck) -> bool:
    """Whether the whole response has arrived. Raises WrongAnswer if it is not a 200 with the expected body."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    start = data.find(b"content-length: ", 0, end) + 16
    length = int(data[start : data.find(b"\r", start)])
    if len(data) < end + 4 + length:
        return False
    if not data.startswith(b"HTTP/1.1 200 ") or len(data) > end + 4 + length:
        raise WrongAnswer(data[:500].decode("utf-8", "replace"))
    check.check(data[end + 4 :])
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", required=True, help="the body of every request; - is standard input")
    parser.add_argument("--expect", required=True, help="the JSON that every response must have")
    parser.add_argument("--header", action="append", default=[], help="an additional header line")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--core", type=int, help="the CPU to run on")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    body = sys.stdin.read() if options.body == "-" else options.body
    request = request_bytes(options.path, body.encode(), options.header)
    address = ("127.0.0.1", options.port)
    result = run(address, request, options.expect.encode(), connections=options.connections, seconds=options.seconds)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
