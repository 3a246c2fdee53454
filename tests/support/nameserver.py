"""A DNS server on loopback: it resolves every name to one address, can deny names, and counts queries."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_TYPES = {1: "A", 28: "AAAA"}
_TTL_S = 5
_POLL_INTERVAL_S = 0.2


class NameServer:
    """`asked` counts queries by type, `names` counts them by name. Tests may change `known` while the server runs."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.known: dict[str, Sequence[str] | None] = {}
        """Addresses by name, without the trailing dot. None: the name does not exist. Other names have the default."""
        self.asked: Counter[str] = Counter()
        self.names: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(_POLL_INTERVAL_S)
        self._socket.bind(("127.0.0.1", 0))
        self._ends = threading.Event()
        self.port = int(self._socket.getsockname()[1])

    def run(self) -> None:
        """Serve until `close`."""
        with self._socket:
            while not self._ends.is_set():
                with contextlib.suppress(TimeoutError):
                    question, sender = self._socket.recvfrom(4096)
                    if question:
                        self._socket.sendto(self._answer(question), sender)

    def close(self) -> None:
        """End `run`. The packet that wakes it may be lost in a full buffer, so `run` also polls the event."""
        self._ends.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode())
            at += 1 + length
        kind = int.from_bytes(question[at + 1 : at + 3])
        name = ".".join(labels)
        known = self.known.get(name, (self._address,))
        found = known if known and kind == 1 else ()
        code = b"\x03" if known is None else b"\x00"
        head = question[:2] + b"\x84" + code + b"\x00\x01" + len(found).to_bytes(2) + b"\x00" * 4
        before = b"\xc0\x0c\x00\x01\x00\x01" + _TTL_S.to_bytes(4) + b"\x00\x04"
        # Counted last: when a test sees the count, the reply has been decided.
        self.asked[_TYPES.get(kind, str(kind))] += 1
        self.names[name] += 1
        return head + question[12 : at + 5] + b"".join(before + socket.inet_aton(one) for one in found)


@contextmanager
def running_nameserver(address: str) -> Iterator[NameServer]:
    """Run a DNS server that resolves to this address."""
    server = NameServer(address)
    thread = threading.Thread(target=server.run, name="nameserver", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)


def resolver(server: NameServer) -> dict[str, Any]:
    """The part of an Envoy bootstrap that makes this server its only resolver."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": server.port}}
    prefix = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3"
    config = {"@type": f"{prefix}.CaresDnsResolverConfig", "resolvers": [address]}
    return {"typed_dns_resolver_config": {"name": "envoy.network.dns_resolver.cares", "typed_config": config}}
