"""Starts, waits for and stops child processes of tests; also free ports, CPU time and memory of a process."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

# Below the range from which the kernel takes the source ports of connections (32768 and up on Linux, 49152 and up
# elsewhere): a port found free here cannot be taken by somebody's outgoing connection before its server starts.
_PORTS = range(20_000, 32_000)

PATIENCE_S = 60.0
"""How long tests wait for what should happen. Long, because a busy machine once gave a test a tenth of a processor, and
because waiting costs nothing where it does happen. A shorter limit belongs only to a test that is about it."""


class ProcessFailed(AssertionError):
    """A child did not start, ended early, or a condition was not met in time; the message ends with its log."""


def free_ports(count: int) -> list[int]:
    """`count` different free ports on loopback."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, k=len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ProcessFailed(f"{count} free ports wanted, {len(found)} found")


def free_port() -> int:
    """A free port on loopback."""
    return free_ports(1)[0]


def wait_until(condition: Callable[[], bool], what: str, *, within: float = PATIENCE_S, every: float = 0.02) -> None:
    """Poll until `condition` holds. Raises ProcessFailed with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise ProcessFailed(f"after {within:g} s still not true: {what}")
        time.sleep(every)


def answers_on(port: int) -> bool:
    """Whether a process accepts connections on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs. A zombie does not count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not Path("/proc/self").exists()  # gone between the two questions, or a system without /proc


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, user and system time, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> tuple[int, int]:
    """Resident memory of a process in MiB: now, and its peak."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) >> 10, int(lines["VmHWM"].split()[0]) >> 10


def family(pid: int) -> list[int]:
    """A process and all that descend from it, by the table of processes of this moment."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:  # grows while it is read
        found += parents.get(one, [])
    return found


def shared_memory_mib(pid: int) -> float:
    """Resident memory of a process in MiB, of which pages that n processes share count as an n-th (PSS)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


class Child:
    """One child process with stdout and stderr in a log file. As a context manager it is stopped at the end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self._cwd = cwd
        self._env = {**os.environ, **env} if env else None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it. A restarted child appends to its old log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self._cwd, env=self._env
            )
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._started().poll()

    def wait_until(self, condition: Callable[[], bool], what: str, *, within: float = PATIENCE_S) -> None:
        """As the function `wait_until`, but fails at once if the child ends. Its error shows the end of the log."""

        def holds() -> bool:
            if self.exit_code is not None:
                raise ProcessFailed(f"{self.name} ended with {self.exit_code} before: {what}\n{self.tail()}")
            return condition()

        try:
            wait_until(holds, what, within=within)
        except ProcessFailed as failed:
            if self.exit_code is not None:
                raise
            raise ProcessFailed(f"{self.name}: {failed}\n{self.tail()}") from None

    def wait(self, *, within: float = PATIENCE_S) -> int:
        """Wait for its exit code. Raises ProcessFailed if it still runs after `within` seconds."""
        try:
            return self._started().wait(within)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} still runs after {within:g} s\n{self.tail()}") from None

    def send(self, what: signal.Signals) -> None:
        """Send it a signal, without waiting."""
        self._started().send_signal(what)

    def stop(self, by: signal.Signals = signal.SIGTERM, *, within: float = PATIENCE_S) -> int:
        """Send it a signal and wait; after `within` seconds kill it. Returns its exit code."""
        process = self._started()
        if process.poll() is None:
            process.send_signal(by)
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                self.kill()
        return process.returncode

    def kill(self) -> None:
        """Send SIGKILL and wait until it has ended."""
        self._started().kill()
        self._started().wait()

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.log.name}\n" + "\n".join(text.splitlines()[-lines:])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._process

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
