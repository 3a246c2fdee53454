"""Who asks for a configuration: refuses requests that do not prove that they are of the gateway that they name."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol

from fairlead import errors
from fairlead.contracts.control_telemetry import XdsAnswer

MAX_UNPROVEN_OF_ONE = 12
"""Requests of one address at the same time whose token is being checked, or was refused. A gateway that has a new token
sends three; several may stand behind one proxy. Requests whose token is known are not among them."""
COMPLAIN_EVERY_S = 60.0
MAX_COMPLAINTS = 256


class Tokens(Protocol):
    """Tells the gateways' names by their tokens; `control.gateway_tokens.GatewayTokens` in a cluster."""

    def known(self, token: str) -> str | None:
        """The gateway of a token that was accepted before and still counts; None for any other."""
        ...

    async def check(self, token: str) -> str:
        """The gateway of a token. Raises Refused with the reason, and Unavailable while it cannot be checked."""
        ...


class Unanswered(Exception):
    """A request that gets no configuration: the HTTP status, and the word by which the metrics count it."""

    def __init__(self, status: int, answer: XdsAnswer, message: str) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer


class Callers:
    """For one event loop. `pause` is awaited before a refusal, so that who is refused does not ask again at once."""

    def __init__(
        self,
        tokens: Tokens,
        *,
        pause: Callable[[], Awaitable[object]],
        log: logging.Logger,
        monotonic: Callable[[], float],
    ) -> None:
        self._tokens, self._pause, self._log, self._monotonic = tokens, pause, log, monotonic
        self._unproven = Counter[str]()
        self._complained: OrderedDict[str, float] = OrderedDict()

    async def name(self, token: str, address: str) -> str:
        """The gateway that this token proves. Raises Unanswered."""
        if (known := self._tokens.known(token)) is not None:
            return known
        with self._counted(address):
            try:
                return await self._tokens.check(token)
            except errors.Refused as error:
                await self._refuse(401, address, error.message)
            except errors.Unavailable as error:
                hint = f"; {error.hint}" if error.hint else ""
                self._complain(address, f"cannot be answered: {error.message}{hint}")
                await self._pause()
                raise Unanswered(503, "unchecked", error.message) from error

    async def require(self, gateway: str, named: str, address: str) -> None:
        """Raises Unanswered if the request names another gateway than its token proves."""
        if named != gateway:
            with self._counted(address):
                await self._refuse(403, address, f"it names the gateway {named!r}, and its token is of {gateway!r}")

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        if self._unproven[address] >= MAX_UNPROVEN_OF_ONE:
            raise Unanswered(429, "crowded", f"{address} has too many requests whose sender is not proven")
        self._unproven[address] += 1
        try:
            yield
        finally:
            self._unproven -= Counter((address,))

    async def _refuse(self, status: int, address: str, why: str) -> NoReturn:
        self._complain(address, f"is refused: {why}")
        await self._pause()
        raise Unanswered(status, "refused", why)

    def _complain(self, address: str, what: str) -> None:
        """Log it, at most once a minute for each address: anybody can send any number of requests."""
        now = self._monotonic()
        if now - self._complained.get(address, float("-inf")) < COMPLAIN_EVERY_S:
            return
        self._complained[address] = now
        self._complained.move_to_end(address)
        while len(self._complained) > MAX_COMPLAINTS:
            self._complained.popitem(last=False)
        self._log.warning("a request of %s for a gateway's configuration %s", address, what)
