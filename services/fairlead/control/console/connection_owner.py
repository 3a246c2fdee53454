"""Whose process is at the other end of a loopback connection, by the kernel's table of connections.

A cookie belongs to a host and not to a port: a server of another user of the machine, at another port, gets it from a
browser that visits it. So a cookie is not enough to act.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

from fairlead import errors

PROC = Path("/proc/net")
ROOT = 0
_ESTABLISHED = "01"
"""In other states the kernel names root."""
Address = tuple[str, int]


def owner(client: Address, server: Address, proc: Path = PROC) -> int | None:
    """The user id of the client's process; None on systems that keep no such table.

    Raises Refused if the connection is not in the table.
    """
    tables = [proc / name for name in ("tcp", "tcp6") if (proc / name).exists()]
    if not tables:
        return None
    ends = _written(*client), _written(*server)
    for table in tables:
        for local, remote, state, uid in _rows(table):
            # A socket for both versions of IP writes the same address as ::ffff:127.0.0.1.
            if (local[-len(ends[0]) :], remote[-len(ends[1]) :], state) == (*ends, _ESTABLISHED):
                return uid
    raise errors.Refused(
        "the kernel does not say whose connection this is", hint="use the commands that the pages show"
    )


def _rows(table: Path) -> Iterator[tuple[str, str, str, int]]:
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        yield fields[1], fields[2], fields[3], int(fields[7])


def _written(host: str, port: int) -> str:
    """As the kernel writes it: the address in the byte order of the machine."""
    number = int.from_bytes(ipaddress.IPv4Address(host).packed, sys.byteorder)
    return f"{number:08X}:{port:04X}"
