"""Runs a page's commands in order in one shell. Background commands get Ctrl-C at the end of the page."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from docs.matching import difference, matches
from docs.page import Block, Command, Page
from docs.working_copy import WorkingCopy

COMMAND_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 60.0
PLATFORM = Command(0, "fairlead up platform.yaml", ("...", "up after <seconds> s", "..."))
_LISTED = """curl -sf http://127.0.0.1:8080/models | grep -q '"1.0.0","1.1.0"'"""
WAIT_FOR_BOTH = Command(0, f"until {_LISTED}; do sleep 0.1; done", ())
"""Waits until both versions of iris are served: on a busy machine the second is ready seconds after `up` reports."""


class PageFailed(AssertionError):
    """A command did not do what its page says. The message begins with file and line."""


class Session:
    """One shell in a working copy, as a reader would have it: `cd` and variables stay until the end of the page."""

    def __init__(self, copy: WorkingCopy, notes: Path, *, command_timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        self._copy = copy
        self._notes = notes
        self._limit = command_timeout_s
        self._count = 0
        self._background: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        self._notes.mkdir(parents=True, exist_ok=True)
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-s"],
            cwd=self._copy.folder,
            env=dict(self._copy.environment()),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        still = [text for text, process in self._background if not _interrupt(process)]
        _end(self._shell)
        if still and error is None:
            raise PageFailed(f"{still[0]!r} still runs {STOP_TIMEOUT_S:g} s after Ctrl-C")

    def run_page(self, page: Page, *, cluster: bool = False) -> None:
        """Run every console block of the page. Raises PageFailed at the first command that does something else.

        Blocks that need a cluster run only if the caller has one. `docs.cluster` checks them without a cluster.
        """
        if page.needs_platform:
            self._start(PLATFORM, page.name)
            self._run(WAIT_FOR_BOTH, page.name)
        for block in page.console():
            if "skip" not in block.options and (cluster or "cluster" not in block.options):
                self.run_block(block)

    def run_block(self, block: Block) -> None:
        """Run every command of one block. Raises PageFailed."""
        for command in block.commands():
            place = f"{block.page}:{command.line}"
            if "background" in block.options:
                self._start(command, place)
            else:
                self._run(command, place)

    def _run(self, command: Command, place: str) -> None:
        self._count += 1
        script, printed, ended = (self._notes / f"{self._count}.{kind}" for kind in ("command", "output", "code"))
        script.write_text(self._copy.to_here(command.text) + "\n")
        # In the shell itself, not in a child process, so that variables and the working directory are kept.
        line = f'eval "$(cat {script})" > {printed} 2>&1 < /dev/null; echo $? > {ended}.new; mv {ended}.new {ended}\n'
        assert self._shell.stdin is not None
        self._shell.stdin.write(line.encode())
        self._shell.stdin.flush()
        self._wait_for(ended, printed, command, place)
        self._judge(command, place, int(ended.read_text()), self._copy.to_page(printed.read_text(errors="replace")))

    def _wait_for(self, ended: Path, printed: Path, command: Command, place: str) -> None:
        deadline = time.monotonic() + self._limit
        while not ended.exists():
            if self._shell.poll() is not None:
                raise PageFailed(f"{place}: the shell ended during: {command.text}\n{_tail(printed)}")
            if time.monotonic() > deadline:
                raise PageFailed(f"{place}: still runs after {self._limit:g} s: {command.text}\n{_tail(printed)}")
            time.sleep(0.02)

    def _judge(self, command: Command, place: str, code: int, printed: str) -> None:
        if code != command.exit_code:
            raise PageFailed(f"{place}: exit code {code}, not {command.exit_code}: {command.text}\n{printed[-4000:]}")
        if not matches(command.expected, printed):
            raise PageFailed(f"{place}: {command.text}\n{difference(command.expected, printed)}")

    def _start(self, command: Command, place: str) -> None:
        """Start a command in the background, and wait until it has printed what the page shows."""
        self._count += 1
        printed = self._notes / f"{self._count}.output"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-c", self._copy.to_here(command.text)],
                cwd=self._copy.folder,
                env=dict(self._copy.environment()),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_restore_sigint,
            )
        self._background.append((command.text, process))
        deadline = time.monotonic() + self._limit
        expected = (*command.expected, "...")
        while not matches(expected, text := self._copy.to_page(printed.read_text(errors="replace"))):
            if process.poll() is not None:
                raise PageFailed(f"{place}: ended with {process.returncode}: {command.text}\n{text[-4000:]}")
            if time.monotonic() > deadline:
                raise PageFailed(f"{place}: after {self._limit:g} s: {command.text}\n{difference(expected, text)}")
            time.sleep(0.05)


def _restore_sigint() -> None:
    """Restore the default for SIGINT: a test run that a shell started in the background ignores it, and so would we."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _interrupt(process: subprocess.Popen[bytes]) -> bool:
    """Send SIGINT to the process group, as Ctrl-C in a terminal does. False if the process had to be killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _end(process)
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-4000:] if path.exists() else ""
