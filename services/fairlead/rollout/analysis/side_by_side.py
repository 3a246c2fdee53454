"""Asks all gateways of a cluster, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from fairlead.contracts.gateway import GatewaySite

MAX_THREADS = 8


class Closes(Protocol):
    """A connection to one gateway."""

    def close(self) -> None: ...  # noqa: D102


Connection = TypeVar("Connection", bound=Closes)
Answer = TypeVar("Answer")


class SideBySide(Generic[Connection]):
    """A connection to every gateway that `sites` names. One that hangs costs its timeout only once.

    Not for several threads at once.
    """

    def __init__(
        self, sites: Callable[[], Sequence[GatewaySite]], connect: Callable[[GatewaySite], Connection], name: str
    ) -> None:
        """`name` begins the names of the threads."""
        self._sites, self._connect = sites, connect
        self._known: dict[GatewaySite, Connection] = {}
        self._pool = ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix=name)

    def ask(self, question: Callable[[Connection], Answer]) -> Mapping[GatewaySite, Answer]:
        """The answer of each gateway, ordered by its name. Raises what `question` raises."""
        sites = sorted(self._sites())
        for gone in self._known.keys() - set(sites):
            self._known.pop(gone).close()
        for site in sites:
            self._known.setdefault(site, self._connect(site))
        return dict(zip(sites, self._pool.map(lambda site: question(self._known[site]), sites), strict=True))

    def close(self) -> None:
        """Close every connection."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for one in self._known.values():
            one.close()
