"""Quotas of clients: what all gateways have counted together, and which clients have used theirs up.

A gateway counts the requests of each client anyway. They are read every two seconds and summed here; a client whose
quota is used up is closed with the next configuration of the gateways. So a quota is exceeded by no more than what is
sent between two readings and until gateways have heard of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from fairlead import errors
from fairlead.contracts.access import Access
from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.quota_use import QuotaUse, Reading, Spent, closed, counted, spent
from fairlead.control.client_counts import ClientCounts
from fairlead.routing.access_file import AccessFile

READ_EVERY_S = 2.0
SAVE_EVERY_S = 10.0
"""How often the use is written while requests are counted. A lost write loses nothing while the gateways live."""
RELOAD_AFTER_S = 10.0
"""A replica that has not counted for so long reads what another one may have written."""


class Gateways(Protocol):
    """Reads what gateways have counted."""

    def read(self) -> Mapping[str, Reading | None]:
        """A reading of each gateway; None without an answer."""
        ...

    def close(self) -> None: ...  # noqa: D102


class Keep(Protocol):
    """Where the use is kept."""

    def load(self) -> QuotaUse:
        """What was saved last. Raises FairleadError if it cannot be read now."""
        ...

    def save(self, use: QuotaUse) -> None:
        """Replace it. Raises FairleadError."""
        ...


class MemoryKeep:
    """A `Keep` that ends with the process."""

    _use = QuotaUse()

    def load(self) -> QuotaUse:
        """What was saved last."""
        return self._use

    def save(self, use: QuotaUse) -> None:
        """Remember it."""
        self._use = use


def quotas_of(
    access: AccessFile | None, sites: Callable[[], Sequence[GatewaySite]], keep: Keep, log: logging.Logger
) -> Quotas:
    """The quotas of the clients of this file; without one nobody has a quota."""
    nobody = Access()
    return Quotas(ClientCounts(sites), keep, access.current if access is not None else lambda: nobody, log=log)


class Quotas:
    """For one thread."""

    def __init__(
        self,
        gateways: Gateways,
        keep: Keep,
        access: Callable[[], Access],
        *,
        log: logging.Logger,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateways, self._keep, self._access, self._log = gateways, keep, access, log
        self._clock, self._monotonic = clock, monotonic
        self._use: QuotaUse | None = None
        self._saved: QuotaUse | None = None
        self._saved_at = self._turned_at = float("-inf")
        self._closed: Mapping[str, int] = {}
        self._complaint = ""

    def closed(self) -> Mapping[str, int]:
        """The clients whose quota is used up, and when that ends, in seconds since 1970."""
        return self._closed

    def spent(self) -> Sequence[Spent]:
        """What each client has used of its quotas, by the last reading. Any thread may call it."""
        use = self._use
        return spent(use, self._clock()) if use is not None else ()

    def turn(self) -> None:
        """Read and count, if it is time to. Never raises FairleadError: gateways go on with what they know."""
        access, now = self._access(), self._monotonic()
        nobody = all(client.quota is None for client in access.clients.values())
        if nobody:
            self._closed = {}
        if now - self._turned_at < READ_EVERY_S:
            return
        if now - self._turned_at > RELOAD_AFTER_S:
            self._use = None
        self._turned_at = now
        try:
            if self._use is None:
                self._use = self._saved = self._keep.load()
            if nobody:
                self._forget()
            else:
                self._count(self._use, access)
            self._save(now)
        except errors.FairleadError as error:
            if isinstance(error, errors.Conflict):  # what is kept is newer: the next turn reads it and goes on from it
                self._use, self._saved_at = None, float("-inf")
            if error.message != self._complaint:
                again = "; it is read again" if self._use is None else ""
                self._log.error("the use of quotas: %s%s", error.message, again)
            self._complaint = error.message
        else:
            self._complaint = ""

    def close(self) -> None:
        """Close every connection, and save what was counted."""
        self._gateways.close()
        if self._use is not None and self._use != self._saved:
            try:
                self._keep.save(self._use)
            except errors.FairleadError as error:
                self._log.error("the use of quotas was not written: %s", error.message)  # noqa: TRY400

    def _count(self, use: QuotaUse, access: Access) -> None:
        found = self._gateways.read()
        readings = {gateway: reading for gateway, reading in found.items() if reading is not None}
        self._use = counted(use, readings, set(found), access, self._clock())
        before, self._closed = self._closed, closed(self._use, access, self._clock())
        for name in self._closed.keys() - before.keys():
            self._log.warning("client %s has used its quota up", name, extra={"until": self._closed[name]})
            self._saved_at = float("-inf")

    def _forget(self) -> None:
        """Without a quota nothing is counted. So a quota that comes back must not go on from the last readings."""
        if self._use != QuotaUse():
            self._use, self._saved_at = QuotaUse(), float("-inf")

    def _save(self, now: float) -> None:
        if self._use is None or self._use == self._saved or now - self._saved_at < SAVE_EVERY_S:
            return
        self._saved_at = now
        self._keep.save(self._use)
        self._saved = self._use
