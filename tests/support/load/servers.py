"""Model servers under load: each is a process on one core, the load generator has another one."""

from __future__ import annotations

import contextlib
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.load.closed_loop import Result, run_in_process
from support.processes import Child, family, free_port, is_alive
from support.service import HOST

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

START_S = 180.0  # Ray Serve starts half a dozen processes: 35 s on a core that does nothing else


@dataclass(frozen=True)
class Server:
    """One server to measure: its command without the port, the request, and additional variables of its process."""

    name: str
    command: Sequence[str | Path]
    body: bytes
    path: str = "/predict"
    headers: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cores:
    """The cores of the servers and of the generator; the same core if the machine has only one."""

    server: int
    generator: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores that this process may use."""
        mine = sorted(os.sched_getaffinity(0))
        return cls(mine[0], mine[1 % len(mine)])


@contextlib.contextmanager
def serving(server: Server, core: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server on a core. Yields its port and its process id when it answers; its log is in `folder`."""
    port = free_port()
    command = ["taskset", "-c", str(core), *server.command, "--port", str(port)]
    env = {**ONE_THREAD, **server.env}
    with Child(server.name, command, log=folder / f"{server.name}.log", env=env) as process:
        process.wait_until(lambda: _answers(server, port), "it predicts", within=START_S)
        try:
            yield port, process.pid
        finally:
            members = family(process.pid)[1:]
    for member in filter(is_alive, members):  # LitServe leaves its workers behind
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def first_answer(server: Server, port: int) -> bytes:
    """The body of one response. Raises OSError if its status is not 2xx."""
    url = f"http://{HOST}:{port}{server.path}"
    request = urllib.request.Request(url, server.body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        body: bytes = reply.read()
        return body


def closed_loop(server: Server, port: int, answer: bytes, core: int, *, connections: int, seconds: float) -> Result:
    """Run a closed loop on a core. Raises ProcessFailed if a response is not the expected one."""
    return run_in_process(
        port,
        server.path,
        server.body,
        answer,
        connections=connections,
        seconds=seconds,
        headers=server.headers,
        core=core,
    )


def _answers(server: Server, port: int) -> bool:
    """Whether the server predicts by now."""
    with contextlib.suppress(OSError):
        return bool(first_answer(server, port))
    return False
