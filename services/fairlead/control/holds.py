"""Requests that wait for a cold version: the gateway asks about each, and gets its answer when the version is ready.

What waits is what wakes: the engine starts the versions that somebody waits for. Nothing of it is stored. When a
control plane ends, the gateway asks the next one; where there are several, it asks until it finds the leader.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead import errors
from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.rollout.ports import GatewayState
from fairlead.routing.envoy.holding import HOLD_PATH, RETRY_AFTER_S
from fairlead.routing.explain import Headers, explain
from fairlead.routing.rules import model_in
from fairlead.routing.snapshot import Routed

LOOK_INTERVAL_S = 0.02
"""How often it is looked whether a version that requests wait for is ready: once for all of them."""
LET_GO, REFUSED, ASK_AGAIN = 200, 403, 503
"""The gateway refuses a request for any other answer than 200, and asks again after 5xx."""
TICK_EVERY_S = 0.5
"""How often the engine looks, while requests wait, whether the gateways have found an instance."""

Key = tuple[str, VersionRef]
"""A route and a version."""


class HoldStore(Protocol):
    """The part of the store that is read."""

    def change_token(self) -> object: ...  # noqa: D102
    def routes(self) -> list[Route]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102


class _Waiting:
    """The requests that wait for one version."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = asyncio.Event()
        """Set when they need not wait any longer."""
        self.opened = False
        """Whether that is because the version is ready."""


class Holds:
    """An ASGI application below `/hold`. Its requests are on one event loop; `asked` and the token are for any thread.

    `gateways` returns what each gateway serves: requests go on when all of them know that the version is ready. Only
    the replica that `leads` knows that, and starts versions: the others have the gateway ask again.
    """

    def __init__(
        self,
        store: HoldStore,
        gateways: Callable[[], Sequence[GatewayState]],
        *,
        leads: Callable[[], bool] = lambda: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._gateways = gateways
        self._leads = leads
        self._monotonic = monotonic
        self._waiting: dict[Key, _Waiting] = {}
        self._asked: frozenset[Key] = frozenset()  # replaced and never changed: the engine's thread reads it
        self._looking: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def asked(self) -> Collection[Key]:
        """The versions that requests wait for, with their routes."""
        return self._asked

    def change_token(self) -> object:
        """The store's, and what requests wait for: the first request for a version makes the loop tick at once.

        While any waits it is another one every half second: nothing in the store says what gateways have found.
        """
        asked = self.asked()
        return self._store.change_token(), asked, self._monotonic() // TICK_EVERY_S if asked else None

    def close(self) -> None:
        """End all waits: the gateway asks the next control plane. Call it on the event loop."""
        self._ending.set()
        for waiting in self._waiting.values():
            waiting.ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the gateway, when its version is ready, or cannot be waited for."""
        status, text = await self._answer(scope, receive)
        # The next connection reaches another replica; a kept one would reach this one again.
        more = {REFUSED: [(b"retry-after", str(RETRY_AFTER_S).encode())], ASK_AGAIN: [(b"connection", b"close")]}
        headers = [(b"content-length", str(len(text)).encode()), *more.get(status, ())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        if not self._leads():
            return ASK_AGAIN, b""
        path = str(scope["path"]).removeprefix(HOLD_PATH)
        headers = [(name.decode("latin-1"), value) for name, value in scope["headers"]]
        try:
            found = await asyncio.to_thread(self._find, path, headers, scope["method"])
        except errors.FairleadError as error:
            return ASK_AGAIN, error.message.encode()
        if self._ending.is_set():
            return ASK_AGAIN, b""
        if found is None:
            return LET_GO, b""
        route, ref = found
        limits, waiting = route.spec.scale_to_zero, self._wait_for((route.name, ref))
        if waiting.count >= limits.requests:
            return REFUSED, f"{_cold(route, ref)}, and {waiting.count} requests wait for it already".encode()
        waiting.count += 1
        try:
            await _ended(waiting.ended, receive, limits.wait)
        finally:
            waiting.count -= 1
            if not waiting.count:
                self._forget((route.name, ref), waiting)
        if waiting.opened:
            return LET_GO, b""
        if waiting.ended.is_set():
            return ASK_AGAIN, b""
        return REFUSED, f"{_cold(route, ref)}, and did not start in {format_duration(limits.wait)}".encode()

    def _find(self, path: str, headers: Headers, method: str) -> tuple[Route, VersionRef] | None:
        """The version that a request gets; None if there is none, or none that is cold."""
        model = model_in(path)
        for route in self._store.routes():
            head = self._store.head(route.name) if route.spec.model == model else None
            if head is None or head.table.model != model:
                continue
            found = explain(Routed(route.name, head.seq, head.table), path, headers, method=method)
            ref = found.version if found is not None else None
            # A version that has just been woken may still be held by a gateway that has not heard of it.
            return (route, ref) if ref is not None and not self._is_open((route.name, ref)) else None
        return None

    def _wait_for(self, key: Key) -> _Waiting:
        if key not in self._waiting:
            self._waiting[key] = _Waiting()
            self._asked = frozenset(self._waiting)
            task = asyncio.create_task(self._look(key, self._waiting[key]))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        return self._waiting[key]

    def _forget(self, key: Key, waiting: _Waiting) -> None:
        if self._waiting.get(key) is waiting:
            del self._waiting[key]
            self._asked = frozenset(self._waiting)

    async def _look(self, key: Key, waiting: _Waiting) -> None:
        """Let the requests go when their version is ready, as long as any of them waits and this replica leads."""
        while self._waiting.get(key) is waiting and not waiting.ended.is_set():
            await asyncio.sleep(LOOK_INTERVAL_S)
            try:
                leads = self._leads()
                waiting.opened = leads and await asyncio.to_thread(self._is_open, key)
            except errors.FairleadError:
                continue  # the store is locked: it is looked again
            if waiting.opened or not leads:
                self._forget(key, waiting)
                waiting.ended.set()

    def _is_open(self, key: Key) -> bool:
        """Whether the version is not cold, and every gateway that answers knows it."""
        head = self._store.head(key[0])
        if head is None:
            return True
        serving = [one for one in self._gateways() if one.reachable]
        known = bool(serving) and all(one.programmed.get(key[0], 0) >= head.seq for one in serving)
        return known and key[1] not in head.table.cold


async def _ended(ended: asyncio.Event, receive: Receive, wait_s: float) -> None:
    """Wait so long at most. A client that leaves ends the wait as well, and nobody reads the answer."""
    tasks = {asyncio.create_task(ended.wait()), asyncio.create_task(_left(receive))}
    try:
        await asyncio.wait(tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _cold(route: Route, ref: VersionRef) -> str:
    return f"{route.spec.model} {ref} is cold"


async def elsewhere(_scope: Scope, _receive: Receive, send: Send) -> None:
    """In the place of `Holds`, where no request may be held: a gateway asks again."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": ASK_AGAIN, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def mounted(holds: ASGIApp, api: ASGIApp) -> ASGIApp:
    """The API with the application below `/hold`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_held = scope["type"] == "http" and scope["path"].startswith(f"{HOLD_PATH}/")
        await (holds if is_held else api)(scope, receive, send)

    return app
