"""The uvicorn server: listens before the model loads, and drains on SIGTERM."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn

from fairlead.serving.http import exchange, uvicorn_parts
from fairlead.serving.http.dispatch import Dispatcher
from fairlead.serving.http.fast_path import FastPath
from fairlead.serving.http.open_paths import OnlyOpenPaths
from fairlead.serving.http.secure_port import SecurePort
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.settings import Settings
from fairlead.slow_clients import LimitedServer

logger = logging.getLogger(__name__)


class Server(LimitedServer):
    """uvicorn that drains on the first SIGTERM.

    While it drains, the service is not ready but answers requests for `drain_s` seconds. Then it stops listening,
    finishes the requests in flight, and exits.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        state: Lifecycle,
        settings: Settings,
        when_stopping: Callable[[], None] = lambda: None,
        secure: tuple[SecurePort, uvicorn.Config] | None = None,
    ) -> None:
        """`when_stopping` is called when requests in flight have to finish, before it is waited for them.

        `secure` is the port with TLS and what uvicorn is to do there.
        """
        super().__init__(config, settings.receive_s)
        self._secure = secure
        self._when_stopping = when_stopping
        self._state = state
        self._drain_s = settings.drain_s
        self._ends_failed = settings.failure_file is not None
        self._drain: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Store the loop: signal handlers run outside of it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self._secure is not None:
            self.servers.append(await self._listen_with_tls(*self._secure))

    async def _listen_with_tls(self, port: SecurePort, config: uvicorn.Config) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        made = self.making(config)
        return await loop.create_server(made, sock=port.listener, backlog=config.backlog, **port.options)

    def making(self, config: uvicorn.Config) -> Callable[[], Any]:
        """What makes the object of a connection at a port with this configuration."""
        if not config.loaded:
            config.load()
        return functools.partial(
            cast("Any", config.http_protocol_class),
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first SIGTERM drains. SIGINT stops without a drain; a signal during the drain also aborts requests.

        uvicorn's own handler raises the signal again after shutdown, and then the exit code is not 0.
        """
        if self._loop is None or self._state.draining or sig != signal.SIGTERM:
            self.force_exit = self._state.draining
            self.should_exit = True
            return
        self._loop.call_soon_threadsafe(self._begin_drain)

    async def on_tick(self, counter: int) -> bool:
        """End once the model cannot be served, where the process is started again."""
        return await super().on_tick(counter) or (self._ends_failed and self._state.failure is not None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests in flight, then the application."""
        self._when_stopping()
        await super().shutdown(sockets)

    def end(self, connection: Any) -> None:
        """End the connection of a slow client, with an answer if it is one of ours."""
        if hasattr(connection, "end_slow"):
            connection.end_slow()
        else:
            super().end(connection)

    def _begin_drain(self) -> None:
        assert self._loop is not None
        self._state.drain()
        self._drain = self._loop.call_later(self._drain_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def protocol(app: exchange.Envelope | OnlyOpenPaths, fast_path: FastPath, settings: Settings) -> Any:
    """The class of a connection: ours, or uvicorn's own if ours does not fit the installed uvicorn."""
    if found := uvicorn_parts.difference():
        logger.warning(
            "the fast path is off: this uvicorn is not one that Fairlead was tested with; predictions are slower",
            extra={"reason": found},
        )
        return "h11"  # the one with a limit for the size of a request head
    # Imported here, because importing it fails if uvicorn has not the class that it extends.
    connection = importlib.import_module("fairlead.serving.http.connection")
    unread = max(settings.queue_bytes, settings.max_answer_bytes)
    return connection.connection_class(app.identity, fast_path, settings.max_connections, unread)


def server(
    app: exchange.Envelope,
    fast_path: FastPath,
    state: Lifecycle,
    settings: Settings,
    when_stopping: Callable[[], None] = lambda: None,
    secure: SecurePort | None = None,
) -> Server:
    """The server for an application and its fast path, ready to run on a listening socket.

    With `secure` it also serves that port, and on the other one only what needs no certificate.
    """
    plain, whole = configs(app, fast_path, settings, is_secure=secure is not None)
    return Server(plain, state, settings, when_stopping, None if secure is None else (secure, whole))


def configs(
    app: exchange.Envelope, fast_path: FastPath, settings: Settings, *, is_secure: bool
) -> tuple[uvicorn.Config, uvicorn.Config]:
    """What uvicorn is to do at the port without TLS, and at the one with it if there is one."""
    whole = config(app, fast_path, settings)
    if not is_secure or settings.tls_also_plain:
        return whole, whole
    return config(OnlyOpenPaths(app, app.identity), FastPath(app, Dispatcher(app, {})), settings), whole


def config(app: exchange.Envelope | OnlyOpenPaths, fast_path: FastPath, settings: Settings) -> uvicorn.Config:
    """What uvicorn is to do."""
    return uvicorn.Config(
        app,
        http=protocol(app, fast_path, settings),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # the gateway has an access log; one here would cost a tenth of the throughput
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.finish_s,
    )
