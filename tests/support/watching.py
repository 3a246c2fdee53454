"""What gateways use while something happens to them: every version of every kind, in the order in which it was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.resource_sets import KINDS, Kind, UpdateOrder, order_of
from support.repeating import repeating


@dataclass
class GatewayWatch:
    """One gateway, by its admin address."""

    admin_port: int
    host: str = "127.0.0.1"
    seen: dict[Kind, list[UpdateOrder]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def look(self, admin: AdminClient) -> None:
        """Note what it uses now, if that is not what it used last."""
        sample = admin.read()
        for kind, text in sample.versions.items() if sample else ():
            order = order_of(text)
            if not self.seen[kind] or self.seen[kind][-1] != order:
                self.seen[kind].append(order)

    @property
    def went_back(self) -> bool:
        """Whether it ever used something older than what it had used before."""
        return any(versions != sorted(versions) for versions in self.seen.values())


@contextmanager
def watching(gateways: Sequence[GatewayWatch], *, every_s: float = 0.005) -> Iterator[None]:
    """Looks at each every few milliseconds."""
    admins = [AdminClient(one.host, one.admin_port) for one in gateways]

    def look() -> None:
        for one, admin in zip(gateways, admins, strict=True):
            one.look(admin)

    try:
        with repeating(look, pause_s=every_s):
            yield
    finally:
        for admin in admins:
            admin.close()
