"""The model service that is measured: a process of its own, on a port of loopback."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import manifest_file, yaml_edit
from fairlead.contracts.instance import CANNOT_BE_SERVED
from fairlead.contracts.manifest import Batching, Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.local import folders
from fairlead.local.probe import ask
from fairlead.serving.settings import FAILURE_FILE

ASK_EVERY_S = 0.05
GRACE_S = 5.0
TAIL_LINES = 5
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Loaded here: between fork and exec there should be nothing but the call."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def with_batching(folder: Path, batching: Batching) -> Iterator[Path]:
    """A copy of a model folder whose manifest has this batching. Files are links where the file system allows that."""
    with tempfile.TemporaryDirectory(prefix="fairlead-calibrate-") as place:
        copy = Path(place, folder.resolve().name)
        for name, file in folders.files_of(folder).items():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name == manifest_file.NAME:
                target.write_text(with_settings(file.read_text(encoding="utf-8"), batching), encoding="utf-8")
            else:
                _link_or_copy(file.resolve(), target)
        yield copy


def with_settings(text: str, batching: Batching) -> str:
    """The text of a manifest with this batching; everything else stays as it is, comments too."""
    wait = float(batching.max_wait_ms)
    text = yaml_edit.with_value(text, ("batching", "max_rows"), batching.max_rows)
    if parse_yaml(Manifest, text, manifest_file.NAME).batching == batching:
        return text
    return yaml_edit.with_value(text, ("batching", "max_wait_ms"), int(wait) if wait.is_integer() else wait)


def _link_or_copy(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:
        shutil.copy2(file, target)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time of the service, its bytes of memory, and the CPU time of everything on this machine, in seconds."""

    cpu_s: float
    memory_bytes: int
    machine_cpu_s: float
    at_s: float
    """When it was read, by a monotonic clock."""


def _machine_cpu_s() -> float:
    try:
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split(None, 9)[1:9])
    except (OSError, ValueError):
        return 0.0
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


def _end_with_parent() -> None:
    """A service that is measured ends even if this process is killed. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block has ended: a process that has just been started would be forgotten."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Service:
    """`fairlead serve FOLDER` on a free port. As a context manager it is ready in the block and has ended after it."""

    def __init__(self, folder: Path, flags: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._flags = flags
        self._environ = {**os.environ, **(environ or {})}
        self.port = 0
        self.load_s = 0.0
        """How long it took until it was ready, in seconds."""

    def __enter__(self) -> Service:
        self._log = tempfile.NamedTemporaryFile(prefix="fairlead-calibrate-", suffix=".log")
        self._failure = tempfile.NamedTemporaryFile(prefix="fairlead-calibrate-", suffix=".failure")
        self._environ[FAILURE_FILE] = self._failure.name
        program = [sys.executable, "-P", "-m", "fairlead.cli.main", "serve", str(self._folder), "--port", "0"]
        self._environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        began = time.monotonic()
        with _uninterrupted():
            self._process = subprocess.Popen(
                [*program, "--host", "127.0.0.1", "--drain-s", "0", "--log-format", "json", *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=self._environ,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the service
                preexec_fn=_end_with_parent,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        self.load_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises Unavailable if there is none."""
        reply = ask(self.port, "GET", path, timeout_s=10.0)
        if reply.status != 200:
            raise errors.Unavailable(f"the model service answers {path} with {reply.status or reply.body.decode()}")
        return json.loads(reply.body)

    def batching_reason(self) -> tuple[bool, str]:
        """Whether rows of several requests share calls of the model, and why or why not."""
        text = ask(self.port, "GET", "/metrics", timeout_s=10.0).body.decode()
        found = re.search(r'^fairlead_model_batching_enabled\{.*reason="(\w+)".*\} (\d)', text, re.MULTILINE)
        return (found[2] == "1", found[1]) if found else (False, "")

    def usage(self) -> Usage:
        """What the service has used until now, with the processes that it started. Without /proc all is 0."""
        seen: dict[int, tuple[int, float, int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = stat.read_text().rpartition(")")[2].split()
                cpu = sum(map(int, fields[11:15])) / _TICKS_PER_S
                seen[int(stat.parent.name)] = int(fields[1]), cpu, int(fields[21]) * _PAGE_BYTES
        mine, more = set[int](), {self._process.pid} & seen.keys()
        while more:
            mine |= more
            more = {pid for pid, (parent, _, _) in seen.items() if parent in more}
        cpu_s, memory_bytes = (sum(seen[pid][field] for pid in mine) for field in (1, 2))
        return Usage(cpu_s, int(memory_bytes), _machine_cpu_s(), time.monotonic())

    def _wait_until_ready(self) -> None:
        while True:
            if (code := self._process.poll()) is not None:
                hint = f"`fairlead check {self._folder}` says more."
                raise errors.Unavailable(f"{CANNOT_BE_SERVED}{self._why(code)}", hint=hint)
            if not self.port:
                self.port = self._listening()
            elif ask(self.port, "GET", "/readyz").status == 200:
                return
            time.sleep(ASK_EVERY_S)

    def _listening(self) -> int:
        """The port of the log line `listening`; 0 before it is there."""
        found = re.search(r'"message": "listening", "url": "http://[^"]*:(\d+)"', self._text())
        return int(found[1]) if found else 0

    def _text(self) -> str:
        return Path(self._log.name).read_text(errors="replace")

    def _why(self, code: int) -> str:
        """What the service has written before it ended; else the end of its log."""
        said = Path(self._failure.name).read_text(errors="replace").strip().removeprefix(CANNOT_BE_SERVED)
        return said or f"it ended with code {code}: {' '.join(self._text().splitlines()[-TAIL_LINES:])}"

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                self._process.send_signal(number)
                self._process.wait(GRACE_S)
                break
        self._log.close()
        self._failure.close()
