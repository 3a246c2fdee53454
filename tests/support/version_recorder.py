"""Records which resource versions gateways use over time, by polling their admin interface."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.resource_sets import KINDS, Kind, UpdateOrder, order_of
from support.background import repeat_in_background


@dataclass
class VersionRecorder:
    """The versions that one gateway used, by kind, in the order in which they were read."""

    admin_port: int
    host: str = "127.0.0.1"
    seen: dict[Kind, list[UpdateOrder]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def record(self, admin: AdminClient) -> None:
        """Read the versions in use, and append those that differ from the last reading."""
        sample = admin.read()
        for kind, text in sample.versions.items() if sample else ():
            order = order_of(text)
            if not self.seen[kind] or self.seen[kind][-1] != order:
                self.seen[kind].append(order)

    @property
    def went_back(self) -> bool:
        """Whether the gateway ever used a version older than one that it had used before."""
        return any(versions != sorted(versions) for versions in self.seen.values())


@contextmanager
def recording_versions(gateways: Sequence[VersionRecorder], *, every_s: float = 0.005) -> Iterator[None]:
    """Poll each gateway every `every_s` seconds, from now to the end of the block."""
    admins = [AdminClient(one.host, one.admin_port) for one in gateways]

    def record_all() -> None:
        for one, admin in zip(gateways, admins, strict=True):
            one.record(admin)

    try:
        with repeat_in_background(record_all, pause_s=every_s):
            yield
    finally:
        for admin in admins:
            admin.close()
