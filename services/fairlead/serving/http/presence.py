"""Noticing that a client has left while its request waits, without paying for it on requests that do not wait."""

from __future__ import annotations

import asyncio
from types import TracebackType

from fairlead.serving.http import body, exchange

# Watching costs a task. Most answers are there sooner than this, and are never watched.
AFTER_S = 0.025


class Presence:
    """Cancels the work inside the `with` block when the client leaves, and raises ClientGone in its place."""

    __slots__ = ("_gone", "_loop", "_receive", "_task", "_timer", "_watcher")

    def __init__(self, receive: exchange.Receive, loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._gone = False
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = self._loop.call_later(AFTER_S, self._watch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and self._task is not None:
            self._task.uncancel()
            raise body.ClientGone from None

    def _watch(self) -> None:
        self._watcher = self._loop.create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._task is not None:
            self._task.cancel()
