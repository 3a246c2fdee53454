"""Sends the parts of open pages again when they change: each is made once, for all pages that show it.

While no page is open nothing runs. A page that reads slowly gets the newest state of each part when it is ready for it,
so that nothing queues up. What is made takes at most `MAX_PART` of a core: the pause after it is so much longer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fairlead import errors

Key = TypeVar("Key", bound=Hashable)
INTERVAL_S = 1.0
"""Parts are made at most this often."""
RESYNC_S = 5.0
"""How often parts are made although nothing was written: running times are in them."""
MAX_PART = 0.04
"""The part of a core that may be used."""
MAX_PAGES = 200
ALIVE_S = 15.0
"""A comment after so much silence shows a proxy that the connection is used."""
RETRY = b"retry: 2000\n\n"
ALIVE = b": alive\n\n"


@dataclass
class _Topic:
    """What the pages of one address show now."""

    pages: int = 0
    number: int = 0
    """Counts the changes of its parts."""
    html: dict[str, str] = field(default_factory=dict)
    events: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """The event of each part, with the number of its last change."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def update(self, parts: Mapping[str, str]) -> None:
        """Take over the parts that differ."""
        different = {name: html for name, html in parts.items() if self.html.get(name) != html}
        if not different:
            return
        self.number += 1
        self.html.update(different)
        self.events.update((name, (self.number, _event(name, html))) for name, html in different.items())
        self.wake()

    def wake(self) -> None:
        """Have every page look whether there is something to send."""
        self.changed.set()
        self.changed = asyncio.Event()

    def since(self, number: int) -> bytes:
        """The events of all parts that have changed since."""
        return b"".join(event for changed, event in self.events.values() if changed > number)


def _event(name: str, html: str) -> bytes:
    return f"event: part\ndata: {json.dumps({'part': name, 'html': html})}\n\n".encode()


class Live(Generic[Key]):
    """Used by the event loop of the server only. `parts` and `change_token` run on threads."""

    def __init__(
        self,
        parts: Callable[[Key], Mapping[str, str]],
        change_token: Callable[[], object],
        *,
        log: logging.Logger,
        interval_s: float = INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`parts` makes the parts of a topic, and raises NotFound when there is no such topic any more."""
        self._parts, self._change_token, self._log = parts, change_token, log
        self._interval_s, self._monotonic = interval_s, monotonic
        self._topics: dict[Key, _Topic] = {}
        self._task: asyncio.Task[None] | None = None
        self._token: object = None
        self._due = 0.0
        self._complaint = ""
        self._closed = False

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return sum(topic.pages for topic in self._topics.values())

    @property
    def is_full(self) -> bool:
        """Whether no further page is sent changes."""
        return self._closed or self.pages >= MAX_PAGES

    def close(self) -> None:
        """End all streams: the server waits for them."""
        self._closed = True
        for topic in self._topics.values():
            topic.wake()

    async def follow(self, name: Key) -> AsyncGenerator[bytes, None]:
        """The stream of one page: all parts, then each change."""
        topic = self._topics.setdefault(name, _Topic())
        topic.pages += 1
        if self._task is None or self._task.done():
            self._token, self._task = None, asyncio.get_running_loop().create_task(self._run())
        elif not topic.number:
            self._token = None  # a new topic is made at the next turn, though nothing else has changed
        try:
            yield RETRY
            sent = 0
            while not self._closed:
                changed = topic.changed
                if found := topic.since(sent):
                    sent = topic.number
                    yield found
                    continue
                try:
                    async with asyncio.timeout(ALIVE_S):
                        await changed.wait()
                except TimeoutError:
                    yield ALIVE
        finally:
            topic.pages -= 1
            if not topic.pages:
                self._topics.pop(name, None)

    async def _run(self) -> None:
        while self._topics and not self._closed:
            began = self._monotonic()
            made = await asyncio.to_thread(self._made, tuple(self._topics))
            for name, parts in made.items():
                if (topic := self._topics.get(name)) is not None:
                    topic.update(parts)
            await asyncio.sleep(pause_s(self._monotonic() - began, self._interval_s))

    def _made(self, names: tuple[Key, ...]) -> dict[Key, Mapping[str, str]]:
        """The parts of all topics; none if nothing has changed. An error leaves the pages as they are."""
        try:
            token, now = self._change_token(), self._monotonic()
            if self._token == token and now < self._due:
                return {}
            made = {name: parts for name in names if (parts := self._made_one(name)) is not None}
            # The token from before: what has changed meanwhile is made again.
            self._token, self._due, self._complaint = token, now + RESYNC_S, ""
        except Exception as error:  # last resort of the stream: the next turn tries again
            message = f"{type(error).__name__}: {error}"
            if message != self._complaint:
                self._log.exception("the pages of the console could not be made")
            self._complaint = message
            return {}
        return made

    def _made_one(self, name: Key) -> Mapping[str, str] | None:
        try:
            return self._parts(name)
        except errors.NotFound:
            return None


def pause_s(spent_s: float, interval_s: float = INTERVAL_S) -> float:
    """How long nothing is made after it has taken so long to make parts."""
    return max(interval_s, spent_s / MAX_PART - spent_s)
