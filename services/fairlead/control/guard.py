"""Who may call now: the file of clients, the platform's own key, and the number of gateways that share a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fairlead.contracts.access import key_hash
from fairlead.routing.access_file import AccessFile
from fairlead.routing.snapshot import Guard

_NOBODY: Mapping[str, int] = MappingProxyType({})


def guard_of(
    access: AccessFile | None,
    own_key: str,
    gateways: Callable[[], int],
    closed: Callable[[], Mapping[str, int]] = lambda: _NOBODY,
) -> Callable[[], Guard | None]:
    """What `DesiredState` asks each time. Without `access` everybody may call.

    `closed` returns the clients whose quota is used up, and when that ends, in seconds since 1970.
    `gateways` returns how many there are; while none is known, a limit counts for one.
    """
    if access is None:
        return lambda: None
    own_hash = key_hash(own_key)
    return lambda: Guard(access.current(), own_hash, max(1, gateways()), closed())
