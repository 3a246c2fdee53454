"""Accepts connections on a port that workers share, so that each gets as many as the others.

The system gives a connection to whichever worker asks first, and an event loop asks for all that wait. A gateway keeps
its connections, so one worker would do all the work: of 16 that were opened together, one of two workers got 16.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any

from fairlead.serving.observe.board import Board

WAIT_S = 0.005
"""How long a worker leaves a connection to those that have fewer. They may be busy."""
FULL_S = 1.0
"""How long it accepts none when the system has no room for another."""


class FairListener:
    """Accepts connections while this worker has no more than the others. uvicorn closes it as one of its servers.

    `made` makes the protocol of a connection, `opened` is the number of connections that are open. `options` are
    the event loop's for a connection, such as those of TLS.
    """

    def __init__(
        self,
        listener: socket.socket,
        made: Callable[[], Any],
        opened: Callable[[], int],
        board: Board,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._made = made
        self._opened = opened
        self._board = board
        self._options = options or {}
        self._begun: set[asyncio.Task[Any]] = set()  # connections that are not among the open ones yet
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(listener, self._readable)

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listener)
        if self._timer is not None:
            self._timer.cancel()

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""

    def _readable(self) -> None:
        mine = self._opened() + len(self._begun)
        fewest = self._board.fewest_connections()
        if fewest is not None and fewest < mine:
            self._pause(WAIT_S)
        else:
            self._accept()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener, self._readable)
        self._accept()  # if it is still there, those with fewer are busy

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker has it, or it has gone
            return
        except OSError:  # no file descriptor, no memory
            self._pause(FULL_S)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._made, connection, **self._options))
        self._begun.add(task)
        self._board.has_connections(self._opened() + len(self._begun))
        task.add_done_callback(self._has_begun)

    def _has_begun(self, task: asyncio.Task[Any]) -> None:
        self._begun.discard(task)
        if not task.cancelled():
            task.exception()  # a client that got no connection, such as one without a certificate; it knows why
