"""What a replica remembers of each gateway that asks it: how often, and what it was given last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from fairlead.routing.publish.resource_sets import Kind

REMEMBERED = 1024
RATE_PER_S = 40.0
"""Questions of one gateway, all kinds together. One that gets an answer to each at once asks about this often."""
BURST = 120.0
GIVEN_AT_MOST = 3
"""How often one version is given to one gateway that does not take it. The answer may have been lost on its way; one
that was refused is taken back by the leader long before."""
AGAIN_AFTER_S = 5.0
LONGEST_PAUSE_S = 60.0


@dataclass
class _Given:
    version: str
    times: int
    at: float


@dataclass
class Node:
    """One gateway, as far as this replica knows it."""

    allowance: float = BURST
    asked_at: float = float("-inf")
    given: dict[Kind, _Given] = field(default_factory=dict)
    turn: dict[Kind, int] = field(default_factory=dict)
    """The number of its latest question of each kind: an older one is from a connection that it has given up."""

    def may_ask(self, now: float) -> bool:
        """Count one question; False when there were too many lately."""
        self.allowance = min(BURST, self.allowance + max(0.0, now - self.asked_at) * RATE_PER_S)
        self.asked_at = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True

    def next_turn(self, kind: Kind) -> int:
        """The number of a question that has just come in."""
        self.turn[kind] = self.turn.get(kind, 0) + 1
        return self.turn[kind]

    def may_get(self, kind: Kind, version: str, now: float, *, empty: bool) -> bool:
        """False while this very version was given to it and it came back without. `empty`: it says that it has none."""
        given = self.given.get(kind)
        if given is None or given.version != version:
            return True
        if empty and given.times < GIVEN_AT_MOST:
            return True  # it has started again, or could not take its first one
        if not empty and given.times >= GIVEN_AT_MOST:
            return False
        return now >= given.at + min(AGAIN_AFTER_S * given.times, LONGEST_PAUSE_S)

    def gets(self, kind: Kind, version: str, now: float) -> None:
        """It was given this version."""
        given = self.given.get(kind)
        times = given.times + 1 if given is not None and given.version == version else 1
        self.given[kind] = _Given(version, times, now)


class Nodes:
    """The gateways seen lately; the least recent is forgotten first. For one event loop."""

    def __init__(self) -> None:
        self._nodes: OrderedDict[str, Node] = OrderedDict()

    def get(self, name: str) -> Node:
        """The gateway of this name, known or new."""
        node = self._nodes.setdefault(name, Node())
        self._nodes.move_to_end(name)
        while len(self._nodes) > REMEMBERED:
            self._nodes.popitem(last=False)
        return node
