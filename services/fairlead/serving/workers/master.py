"""The master: opens the port, starts the workers with gunicorn, replaces those that end, and gives up with a reason."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from fairlead import errors, logs
from fairlead.contracts import manifest_file
from fairlead.contracts.exit_status import how_it_ended
from fairlead.contracts.manifest import Artifact
from fairlead.serving import failure_file
from fairlead.serving.formats import artifact
from fairlead.serving.http import listening
from fairlead.serving.http.secure_port import SecurePort, secure_port
from fairlead.serving.observe import answers
from fairlead.serving.observe.board import Board
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)

HANGS_S = 60.0
"""A worker that has not been alive for so long, in seconds, is ended and replaced."""
MARGIN_S = 5
"""Seconds that workers have to end after their drain."""
MAX_LOST = 3
"""So many times in a row a worker may end while it loads the model."""
GIVES_UP = 3
"""The exit code of a worker that cannot load the model. The board says why."""


def run(folder: Path, settings: Settings, workers: int) -> None:
    """Serve a model folder with so many workers until a signal arrives.

    Raises FairleadError if the service cannot start, and NotReady once a worker cannot load the model. With a
    `failure_file`, the file says why too.
    """
    with failure_file.written(settings.failure_file):
        _run(folder, settings, workers)


def _run(folder: Path, settings: Settings, workers: int) -> None:
    logs.configure(settings.log_level, log_format=settings.log_format)
    if settings.check_folder:
        artifact.check_folder(folder, settings.folder_sha256)
    manifest = manifest_file.read(folder)
    listener = listening.listen(settings.host, settings.port)
    secure = secure_port(settings)
    with listener, contextlib.closing(secure) if secure else contextlib.nullcontext():
        facts = {"model": manifest.name, "version": manifest.version, "pid": os.getpid(), "workers": workers}
        logger.info("listening", extra={"url": listening.url(listener), **facts})
        if secure is not None:
            secure.tell()
        board = Board(answers.memory_for(settings.answers_bytes, workers, settings.feedback_bytes))
        with _copy_for_all(folder, manifest.artifact) as copy:
            master = _Master(_Program(folder, settings, board, workers, secure, copy), listener)
            pid = os.getpid()
            try:
                master.run()
            except SystemExit:
                if os.getpid() != pid:  # a worker: it ends with this code
                    raise
    if master.failure is not None:
        raise master.failure
    logger.info("stopped")


@contextlib.contextmanager
def _copy_for_all(folder: Path, stated: Artifact | None) -> Iterator[Path | None]:
    """The checked copy of the artifact that all workers read. Raises NotReady if it is not the stated one."""
    with contextlib.ExitStack() as stack:
        copy = None
        if stated is not None:
            try:
                copy = stack.enter_context(artifact.shared(folder, stated))
            except errors.ArtifactRejected as cause:  # as in one process: it may be restored before the next start
                raise errors.NotReady(cause.message, hint=cause.hint) from cause
        yield copy


class _Program(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """What the workers run, and gunicorn's settings."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        board: Board,
        workers: int,
        secure: SecurePort | None = None,
        copy: Path | None = None,
    ) -> None:
        self.folder, self.settings, self.board, self.secure, self.copy = folder, settings, board, secure, copy
        self._options = {
            "workers": workers,
            "worker_class": _Worker,
            "logger_class": _Log,
            "timeout": 0,  # the board shows which workers are alive
            "graceful_timeout": math.ceil(settings.drain_s) + settings.finish_s + MARGIN_S,
            "control_socket_disable": True,
            "pre_fork": _begin,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings: it reads no file, no variable and no flag."""
        for name, value in self._options.items():
            self.cfg.set(name, value)


def _begin(master: _Master, worker: _Worker) -> None:
    master.begin(worker)


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's log lines that report an error, in our log."""

    def setup(self, cfg: Any) -> None:
        """Use the handler of the process."""
        self.error_log.propagate = True
        self.error_log.setLevel("ERROR")


class _Worker(Worker):  # type: ignore[misc]
    """One worker. Its modules, and the libraries of the model, are imported after the fork."""

    number: int

    def init_signals(self) -> None:
        """The default for all: the server handles those that it knows."""
        for sig in self.SIGNALS:
            signal.signal(sig, signal.SIG_DFL)

    def load_wsgi(self) -> None:
        """There is nothing of WSGI."""

    def run(self) -> None:
        """Serve until a signal arrives, or the model cannot be served."""
        program: _Program = self.app
        program.board.memory.own = self.number
        serve = importlib.import_module("fairlead.serving.workers.worker").serve
        shared = program.board, self.sockets[0], self.ppid, program.secure, program.copy
        fails = serve(program.folder, program.settings, *shared)
        sys.exit(GIVES_UP if fails else 0)


class _Master(Arbiter):  # type: ignore[misc]
    """gunicorn's master. It keeps the board, and replaces no worker that would end in the same way again."""

    def __init__(self, program: _Program, listener: socket.socket) -> None:
        super().__init__(program)
        self.failure: errors.FairleadError | None = None
        self.LISTENERS = [listener]
        self._board = program.board
        self._stopping = False
        self._begun: set[int] = set()
        self._lost: dict[int, int] = {}

    def begin(self, worker: _Worker) -> None:
        """Give a worker that is about to be forked the first free number, whose metrics it continues."""
        taken = {other.number for other in self.WORKERS.values()}
        worker.number = next(number for number in range(self.num_workers) if number not in taken)
        self._board.begin(worker.number, is_first=worker.number not in self._begun)
        self._begun.add(worker.number)

    def reap_workers(self) -> None:
        """Note which workers have ended. Every child is waited for: in a container, orphans become ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:
                worker.tmp.close()
                self._ended(worker.number, pid, os.waitstatus_to_exitcode(status))

    def murder_workers(self) -> None:
        """End workers whose event loop, or a call of their model, hangs."""
        for pid, worker in list(self.WORKERS.items()):
            since = self._board.alive_at(worker.number)
            if since is not None and time.monotonic() - since > HANGS_S:
                facts = {"worker": worker.number + 1, "pid": pid}
                logger.error("a worker has not been alive for %g s and is ended", HANGS_S, extra=facts)
                self.kill_worker(pid, signal.SIGKILL)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers; from now on none is replaced."""
        self._stopping = True
        super().stop(graceful)

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """A second SIGTERM ends the drain of the workers."""
        if self._stopping and sig == signal.SIGTERM:
            self.kill_workers(sig)
        else:
            super().signal(sig, frame)

    def handle_hup(self) -> None:
        """The terminal was closed."""
        raise StopIteration

    def _ignored(self) -> None:
        """The number of workers is a setting, and a new program is a new process."""

    handle_ttin = handle_ttou = handle_usr1 = handle_usr2 = handle_winch = _ignored

    def _ended(self, number: int, pid: int, code: int) -> None:
        phase, failure = self._board.ended(number), self._board.failure(number)
        if self._stopping:
            return
        how = how_it_ended(code)
        if code == GIVES_UP and failure is not None:
            self._give_up(failure)
        lost = self._lost[number] = self._lost.get(number, 0) + 1 if phase in ("loading", "warming") else 0
        if lost >= MAX_LOST:
            often = f"worker {number + 1} {how} while it loaded the model, {lost} times in a row"
            self._give_up(errors.NotReady(often))
        facts = {"worker": number + 1, "pid": pid, "phase": phase}
        logger.warning("a worker %s and is replaced", how, extra=facts)

    def _give_up(self, failure: errors.FairleadError) -> None:
        """Stop with this error. The other workers drain."""
        self.failure = failure
        raise StopIteration
