"""What a replica keeps about each gateway that polls it: its request rate, and the versions it was sent last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from fairlead.routing.publish.resource_sets import Kind

MAX_NODES = 1024
RATE_PER_S = 40.0
"""Requests of one gateway, all kinds together. One whose requests are all answered at once sends about as many."""
BURST = 120.0
MAX_DELIVERIES = 3
"""How often a gateway that does not take a version is sent it. The response may have been lost; a version that was
rejected is taken back by the leader long before."""
RETRY_AFTER_S = 5.0
MAX_RETRY_PAUSE_S = 60.0


@dataclass
class _Delivery:
    version: str
    times: int
    at: float


@dataclass
class Node:
    """One gateway, as far as this replica knows it."""

    tokens: float = BURST
    """Of a token bucket: one per request, refilled at RATE_PER_S up to BURST."""
    asked_at: float = float("-inf")
    sent: dict[Kind, _Delivery] = field(default_factory=dict)
    latest: dict[Kind, int] = field(default_factory=dict)
    """The number of its latest request of each kind: an older request is from a connection it has abandoned."""

    def may_ask(self, now: float) -> bool:
        """Count one request; False when there were too many lately."""
        self.tokens = min(BURST, self.tokens + max(0.0, now - self.asked_at) * RATE_PER_S)
        self.asked_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def next_request(self, kind: Kind) -> int:
        """The number of a request that has just arrived."""
        self.latest[kind] = self.latest.get(kind, 0) + 1
        return self.latest[kind]

    def may_send(self, kind: Kind, version: str, now: float, *, empty: bool) -> bool:
        """False while it was sent this version and asked again without it. `empty`: it reports no version at all."""
        sent = self.sent.get(kind)
        if sent is None or sent.version != version:
            return True
        if empty and sent.times < MAX_DELIVERIES:
            return True  # it has restarted, or could not take its first one
        if not empty and sent.times >= MAX_DELIVERIES:
            return False
        return now >= sent.at + min(RETRY_AFTER_S * sent.times, MAX_RETRY_PAUSE_S)

    def record_sent(self, kind: Kind, version: str, now: float) -> None:
        """Record that it was sent this version."""
        sent = self.sent.get(kind)
        times = sent.times + 1 if sent is not None and sent.version == version else 1
        self.sent[kind] = _Delivery(version, times, now)


class Nodes:
    """The gateways seen lately; the least recently seen is dropped first. For one event loop."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[tuple[str, str], Node] = OrderedDict()

    def get(self, address: str, name: str) -> Node:
        """The gateway of this name at this address, known or new."""
        node = self._nodes.setdefault((address, name), Node())
        self._nodes.move_to_end((address, name))
        while len(self._nodes) > MAX_NODES:
            self._nodes.popitem(last=False)
        return node
