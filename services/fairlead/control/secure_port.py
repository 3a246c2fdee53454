"""The port with TLS for gateways: tables, requests that wait, the list of models. Only a gateway is answered.

TLS lets in whoever has a client's certificate of the authority. Others than gateways may have one, such as the control
plane itself. So the name in the certificate is read when a connection begins; under another one all its requests are
refused. The name is compared as a text: the certificate of the models stands for all names of their namespace, and is
none of a gateway.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from fairlead.contracts import labels
from fairlead.routing.publish.server import THROTTLE_HOLD_S, Count, kind_in
from fairlead.tls import FileContext, Files

COMPLAIN_EVERY_S = 60.0
"""A client's refusal is in the log at most so often: who has a certificate can send any number of requests."""
MAX_COMPLAINTS = 256
"""So many addresses and reasons are remembered."""
NOT_YET = "the port with TLS for gateways answers nobody until its certificate can be used, the ports without TLS do"

_log = logging.getLogger("fairlead.control")


@dataclass(frozen=True, slots=True)
class SecurePort:
    """How the port with TLS is served."""

    context: FileContext
    """Asks each client for a certificate."""
    gateway: str
    """The name that the certificate of a gateway has."""
    port: int = labels.TLS_PORT
    also_plain: bool = False
    """Whether gateways are answered without TLS too, on the ports of before."""

    @classmethod
    def of_folder(cls, folder: Path, gateway: str, *, name: str, also_plain: bool = False) -> SecurePort:
        """With tls.crt, tls.key and ca.crt of this folder; gateways verify this `name` in the certificate.

        Raises Invalid if they cannot be used and gateways are answered with TLS only. Else the port answers nobody
        until they can.
        """
        files = Files(*(folder / file for file in ("tls.crt", "tls.key", "ca.crt")))
        without = NOT_YET if also_plain else ""
        context = FileContext(files, server=True, refused=Complaints().certificate, hosts=(name,), without=without)
        return cls(context, gateway, also_plain=also_plain)

    def secured(self, config: uvicorn.Config, on_answer: Count = lambda kind, answer: None) -> uvicorn.Config:
        """This configuration of a server, with TLS and for gateways only. `on_answer` counts requests for tables that
        are refused."""
        config.http = _connections(Refusal(self.gateway, Complaints(), on_answer))
        config.load()
        config.ssl = self.context
        return config


def for_gateways(xds: ASGIApp, api: ASGIApp) -> ASGIApp:
    """All that gateways ask, as one application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (xds if str(scope["path"]).startswith("/v3/discovery:") else api)(scope, receive, send)

    return app


class Complaints:
    """Writes to the log who is refused and why, each address and each reason at most once a minute."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said_at: OrderedDict[str, float] = OrderedDict()

    def certificate(self, why: str) -> None:
        """A client's certificate is not believed. Which client it is, is not known at that moment."""
        self.write(why, f"a connection to the port for gateways is refused, because of the client's certificate: {why}")

    def write(self, about: str, text: str) -> None:
        """`about` is an address or a reason."""
        now = self._monotonic()
        if now - self._said_at.get(about, float("-inf")) < COMPLAIN_EVERY_S:
            return
        self._said_at[about] = now
        self._said_at.move_to_end(about)
        while len(self._said_at) > MAX_COMPLAINTS:
            self._said_at.popitem(last=False)
        _log.warning("%s", text)


class Refusal:
    """An application that answers 403 to everything, and says why, also in the log.

    `pause` is awaited before: an Envoy that is refused asks again at once.
    """

    def __init__(
        self,
        gateway: str,
        complaints: Complaints,
        on_answer: Count,
        *,
        pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(THROTTLE_HOLD_S),
    ) -> None:
        self.gateway, self._complaints, self._on_answer, self._pause = gateway, complaints, on_answer, pause

    def of(self, names: Sequence[str]) -> ASGIApp:
        """For a client whose certificate has these names."""
        found = f"has the name {', '.join(names)}" if names else "has no name"
        why = f"the certificate of this client {found}, and only {self.gateway} is answered here"

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            address = scope["client"][0] if scope["client"] else "nobody"
            self._complaints.write(address, f"a request of {address} is refused: {why}")
            await self._pause()
            if (kind := kind_in(str(scope["path"]))) is not None:
                self._on_answer(kind, "refused")
            body = {"type": "about:blank", "title": "not a gateway", "status": 403, "detail": why}
            answer = JSONResponse(body, status_code=403, media_type="application/problem+json")
            await answer(scope, receive, send)

        return app


def names_of(certificate: Mapping[str, Any] | None) -> list[str]:
    """The DNS names of a certificate, as `ssl` returns it."""
    return [name for kind, name in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]


def _connections(refusal: Refusal) -> type[H11Protocol]:
    """The class of a connection whose client must be the gateway that is not refused."""

    class Connection(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            names = names_of(transport.get_extra_info("peercert"))
            if refusal.gateway not in names:
                self.app = refusal.of(names)

    return Connection
