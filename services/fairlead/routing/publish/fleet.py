"""Polls many gateways concurrently: one that hangs delays neither the others nor the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from fairlead.contracts.gateway import GatewaySite
from fairlead.routing.publish.acknowledgements import AckTracker
from fairlead.routing.publish.admin import AdminClient, Sample
from fairlead.routing.publish.resource_sets import Kind, Update
from fairlead.routing.publish.update_order import GatewayReport

MAX_CONCURRENT = 8
"""Gateways polled at the same moment; more wait in a queue."""
POLL_WAIT_S = 0.01
"""How long a poll waits for answers in flight: a healthy gateway needs a few milliseconds."""
FIRST_POLL_WAIT_S = 0.5
"""How long the first poll waits. It decides which gateways later updates wait for."""
ANSWER_TIMEOUT_S = 1.0
"""How long one gateway may take to answer. Nothing blocks on it, so a busy machine is no reason to call it lost."""
UNREACHABLE_POLL_S = 0.5
COUNT_EVERY_S = 0.2
"""How often the counters of a gateway that is behind are read: they show whether it rejects the update."""
LOST_AFTER_S = 10.0
"""How long a gateway that stopped answering still holds up updates. After that, if it takes anything at all, it takes
new clusters in the same moment as the routes to them."""


class Discovery(Protocol):
    """Lists the gateways there should be."""

    def gateways(self) -> Sequence[GatewaySite]:
        """All of them, answering or not. Never raises: while they cannot be listed, the last list stays valid."""
        ...

    def rejection_reason(self, name: str) -> str | None:
        """The reason in a gateway's log for its last rejection; None when the log cannot be read."""
        ...


@dataclass
class _Member:
    site: GatewaySite
    client: AdminClient
    acks: AckTracker
    report: GatewayReport
    answered_at: float | None = None
    asked: Future[Sample | None] | None = field(default=None, repr=False)
    due: float = float("-inf")
    counted_at: float = float("-inf")


class Fleet:
    """The known gateways and their last reports. Not thread-safe."""

    def __init__(
        self,
        discovery: Discovery,
        *,
        connect: Callable[[GatewaySite], AdminClient] = lambda site: AdminClient(
            site.host, site.admin_port, timeout_s=ANSWER_TIMEOUT_S, over_http=True
        ),
    ) -> None:
        self._discovery = discovery
        self._connect = connect
        self._members: dict[str, _Member] = {}
        self._pool = ThreadPoolExecutor(max_workers=MAX_CONCURRENT, thread_name_prefix="gateways")

    def poll(self, published: Mapping[Kind, Update], now: float, *, every_s: float, first: bool = False) -> None:
        """Poll each gateway that was not polled for `every_s`, and process the answers since the last call.

        The `first` poll of a new leader asks all of them and waits longer for their answers.
        """
        self._follow_discovery()
        for member in self._members.values():
            if member.asked is None and (first or now >= member.due):
                member.asked = self._pool.submit(member.client.read, counters=self._counts(member, published, now))
        waiting = [member.asked for member in self._members.values() if member.asked is not None]
        wait(waiting, timeout=FIRST_POLL_WAIT_S if first else POLL_WAIT_S)
        for member in self._members.values():
            if member.asked is not None and member.asked.done():
                sample, member.asked = member.asked.result(), None
                self._take(member, sample, published, now, every_s)

    def record_update(self, kind: Kind, now: float) -> None:
        """Count one published update. Call it for every update."""
        for member in self._members.values():
            member.acks.record_update(kind)
            member.due = float("-inf")
            member.counted_at = max(member.counted_at, now)

    def reports(self) -> list[GatewayReport]:
        """Every known gateway as it last answered."""
        return [member.report for _, member in sorted(self._members.items())]

    def serving_reports(self, now: float) -> list[GatewayReport]:
        """The gateways that updates must wait for: they use our configuration, used it when last seen, or reject it.

        A gateway that has only just started serves no requests. When it asks, it gets all that is published at once.
        """
        return [member.report for member in self._members.values() if _is_serving(member, now)]

    def close(self) -> None:
        """Stop polling."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for member in self._members.values():
            member.client.close()

    def _follow_discovery(self) -> None:
        sites = {site.name: site for site in self._discovery.gateways()}
        for name, member in list(self._members.items()):
            # The same name at another address is another gateway. One with a poll in flight is dropped afterwards.
            if sites.get(name) != member.site and member.asked is None:
                member.client.close()
                del self._members[name]
        for name, site in sites.items():
            if name not in self._members:
                acks = AckTracker(
                    name,
                    lambda name=name: self._discovery.rejection_reason(name),  # type: ignore[misc]
                    over_http=True,
                )
                self._members[name] = _Member(site, self._connect(site), acks, GatewayReport(name, reachable=False))

    def _counts(self, member: _Member, published: Mapping[Kind, Update], now: float) -> bool:
        """Versions are cheap to read, counters are not. Only a gateway that stays behind may have rejected one."""
        behind = any(member.report.versions.get(kind) != update.version for kind, update in published.items())
        if not behind or now - member.counted_at < COUNT_EVERY_S:
            return False
        member.counted_at = now
        return True

    def _take(
        self, member: _Member, sample: Sample | None, published: Mapping[Kind, Update], now: float, every_s: float
    ) -> None:
        report = member.acks.report(sample, published, now)
        member.due = now + (every_s if report.reachable else UNREACHABLE_POLL_S)
        if report.reachable:
            member.report, member.answered_at = report, now
        else:
            member.report = GatewayReport(report.name, False, member.report.versions)


def _is_serving(member: _Member, now: float) -> bool:
    report = member.report
    if report.reachable:
        return bool(report.versions or report.rejected)
    # A lost gateway may still serve what it used when it last answered, so it counts for a while.
    return bool(report.versions) and member.answered_at is not None and now - member.answered_at < LOST_AFTER_S
