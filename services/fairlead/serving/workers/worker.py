"""One worker: the model service on the shared port. It reports to the board, and takes connections when it may."""

from __future__ import annotations

import functools
import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import uvicorn

from fairlead import errors
from fairlead.serving.app import build_app
from fairlead.serving.formats import folder as folders
from fairlead.serving.http import server
from fairlead.serving.http.secure_port import SecurePort
from fairlead.serving.inference import heap
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.inference.served import StartAgain
from fairlead.serving.observe import otlp
from fairlead.serving.observe.board import Board
from fairlead.serving.observe.metrics import Metrics
from fairlead.serving.settings import Settings
from fairlead.serving.workers.fair_listener import FairListener

TICKS_PER_PROCESS = 10
"""uvicorn ticks every 0.1 s."""


class WorkerServer(server.Server):
    """The server of one worker. Every 0.1 s it writes to the board, and looks whether it may take connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: Lifecycle,
        settings: Settings,
        board: Board,
        meter: Metrics,
        master: int,
        secure: tuple[SecurePort, uvicorn.Config] | None = None,
    ) -> None:
        super().__init__(config, state, settings)
        self._shared = secure  # accepted fairly, so not by the server itself
        self._ends_failed = True  # the master says why, and ends the others
        self._board = board
        self._meter = meter
        self._master = master
        self._listeners: list[socket.socket] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to load the model. The first tick decides about connections."""
        signal.signal(signal.SIGQUIT, lambda _, frame: self.handle_exit(signal.SIGINT, frame))
        self._listeners = sockets or []
        await super().startup([])

    async def on_tick(self, counter: int) -> bool:
        """Report to the board; end without a master."""
        if counter % TICKS_PER_PROCESS == 0:
            self._meter.publish_process()
        self._meter.publish()
        if self._state.phase != "hanging":
            self._board.beat(time.monotonic())
        self._board.has_connections(len(self.server_state.connections))
        if not self.servers and not self._state.draining and self._board.try_to_take():
            self._take_connections()
        if os.getppid() != self._master and not self._state.draining:
            self.handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    def _take_connections(self) -> None:
        listeners = [self._accepting(one, self.config) for one in self._listeners]
        if self._shared is not None:
            port, config = self._shared
            listeners.append(self._accepting(port.listener, config, port.options))
        self.servers = cast("list[Any]", listeners)

    def _accepting(
        self, listener: socket.socket, config: uvicorn.Config, options: Mapping[str, Any] | None = None
    ) -> FairListener:
        connections = self.server_state.connections
        return FairListener(listener, self.making(config), lambda: len(connections), self._board, options)


def serve(
    folder: Path,
    settings: Settings,
    board: Board,
    listener: socket.socket,
    master: int,
    secure: SecurePort | None = None,
    copy: Path | None = None,
) -> bool:
    """Serve until a signal arrives. True if the model cannot be served: the board says why.

    `copy` is the checked copy of the artifact that all workers read.
    """
    try:
        again = StartAgain(board.skipped, functools.partial(_start_again, board))
        app = build_app(
            folders.load_folder(folder, copy=copy), settings, heap.freeze, again, board, otlp.target_of(os.environ)
        )
        plain, whole = server.configs(app.envelope, app.fast_path, settings, is_secure=secure is not None)
        shared = None if secure is None else (secure, whole)
        WorkerServer(plain, app.state, settings, board, app.metrics, master, shared).run(sockets=[listener])
        if app.state.failure:
            raise app.state.failure
    except errors.FairleadError as failure:
        board.fail(failure)
        return True
    return False


def _start_again(board: Board, reason: str) -> None:
    """End this process: the one in its place asks no made-up rows."""
    board.skipped = reason
    os._exit(0)  # the thread of the call cannot be ended
