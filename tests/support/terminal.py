"""Runs a command whose standard output and standard error are a terminal, and reads what a person would see there."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.processes import PATIENCE_S, wait_until


class Terminal:
    """A process on a pseudo-terminal. As a context manager it is stopped at the end, with Ctrl-C's signal."""

    def __init__(self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = [str(part) for part in command]
        self._cwd, self._env = cwd, {**os.environ, "COLUMNS": "160", "NO_COLOR": "1", **(env or {})}
        self._seen = bytearray()

    def __enter__(self) -> Self:
        ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=self._cwd,
            env=self._env,
            start_new_session=True,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(PATIENCE_S)

    @property
    def text(self) -> str:
        """Everything that was printed so far."""
        return bytes(self._seen).decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """Wait until the text was printed, and return the line with it."""
        wait_until(lambda: text in self.text or self._process.poll() is not None, f"the terminal shows {text!r}")
        lines = [line for line in self.text.splitlines() if text in line]
        assert lines, f"{self._command} ended without printing {text!r}:\n{self.text}"
        return lines[0]

    def _read(self, descriptor: int) -> None:
        while True:
            try:
                data = os.read(descriptor, 4096)
            except OSError:  # the process closed its side
                break
            if not data:
                break
            self._seen += data
        os.close(descriptor)
