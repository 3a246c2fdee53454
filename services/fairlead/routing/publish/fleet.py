"""Many gateways, listened to side by side: one that hangs holds up neither the others nor the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from fairlead.contracts.gateway import GatewaySite
from fairlead.routing.publish.acknowledgements import Ear
from fairlead.routing.publish.admin import AdminClient, Sample
from fairlead.routing.publish.phases import Heard
from fairlead.routing.publish.resource_sets import Kind, Written

AT_ONCE = 8
"""Gateways asked at the same moment; more wait their turn."""
PROMPT_S = 0.01
"""How long a look waits for answers that are on their way: a gateway that is well needs a few milliseconds."""
PATIENT_S = 0.5
"""How long the first look waits, which decides whom later ones wait for."""
ANSWER_S = 1.0
"""How long one may take to answer. Nobody waits for it, so a busy machine is no reason to call it lost."""
UNREACHABLE_POLL_S = 0.5
COUNT_EVERY_S = 0.2
"""How often the counters of one that is behind are read, which tell whether it refuses."""
LOST_AFTER_S = 10.0
"""How long one that has stopped answering still keeps others waiting. It then takes new clusters, if it takes
anything at all, in the same moment as the routes to them."""


class Discovery(Protocol):
    """Which gateways there should be."""

    def gateways(self) -> Sequence[GatewaySite]:
        """All of them, answering or not. Never raises: while nobody can be asked, the last list holds."""
        ...

    def refusal(self, name: str) -> str | None:
        """The reason in a gateway's log for what it refused last; None when it cannot be read."""
        ...


@dataclass
class _Member:
    site: GatewaySite
    client: AdminClient
    ear: Ear
    heard: Heard
    answered_at: float | None = None
    asked: Future[Sample | None] | None = field(default=None, repr=False)
    due: float = float("-inf")
    counted_at: float = float("-inf")


class Fleet:
    """Not for several threads at once."""

    def __init__(
        self,
        discovery: Discovery,
        *,
        connect: Callable[[GatewaySite], AdminClient] = lambda site: AdminClient(
            site.host, site.admin_port, timeout_s=ANSWER_S, over_http=True
        ),
    ) -> None:
        self._discovery = discovery
        self._connect = connect
        self._members: dict[str, _Member] = {}
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="gateways")

    def look(self, published: Mapping[Kind, Written], now: float, *, every_s: float, patient: bool = False) -> None:
        """Ask whoever was not asked for `every_s`, and take in what has been answered since the last look."""
        self._follow_discovery()
        for member in self._members.values():
            if member.asked is None and (patient or now >= member.due):
                member.asked = self._pool.submit(member.client.read, counters=self._counts(member, published, now))
        waiting = [member.asked for member in self._members.values() if member.asked is not None]
        wait(waiting, timeout=PATIENT_S if patient else PROMPT_S)
        for member in self._members.values():
            if member.asked is not None and member.asked.done():
                sample, member.asked = member.asked.result(), None
                self._take(member, sample, published, now, every_s)

    def wrote(self, kind: Kind, now: float) -> None:
        """To be told of every writing."""
        for member in self._members.values():
            member.ear.wrote(kind)
            member.due = float("-inf")
            member.counted_at = max(member.counted_at, now)

    def heard(self) -> list[Heard]:
        """Every known gateway as it last answered."""
        return [member.heard for _, member in sorted(self._members.items())]

    def deciding(self, now: float) -> list[Heard]:
        """Those whom the next writing may hurt: they have something of ours, or had it when last heard, or refuse it.

        One that has only started serves nobody. It takes whatever is published when it asks, which is whole.
        """
        return [member.heard for member in self._members.values() if _decides(member, now)]

    def close(self) -> None:
        """Stop listening."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for member in self._members.values():
            member.client.close()

    def _follow_discovery(self) -> None:
        sites = {site.name: site for site in self._discovery.gateways()}
        for name, member in list(self._members.items()):
            # A gateway of the same name elsewhere is another one. Whoever is being asked is dropped afterwards.
            if sites.get(name) != member.site and member.asked is None:
                member.client.close()
                del self._members[name]
        for name, site in sites.items():
            if name not in self._members:
                ear = Ear(name, lambda name=name: self._discovery.refusal(name), kept_asking=True)  # type: ignore[misc]
                self._members[name] = _Member(site, self._connect(site), ear, Heard(name, reachable=False))

    def _counts(self, member: _Member, published: Mapping[Kind, Written], now: float) -> bool:
        """Versions are cheap to ask for, counters are not: only whoever stays behind may have refused."""
        behind = any(member.heard.versions.get(kind) != written.version for kind, written in published.items())
        if not behind or now - member.counted_at < COUNT_EVERY_S:
            return False
        member.counted_at = now
        return True

    def _take(
        self, member: _Member, sample: Sample | None, published: Mapping[Kind, Written], now: float, every_s: float
    ) -> None:
        heard = member.ear.hear(sample, published, now)
        member.due = now + (every_s if heard.reachable else UNREACHABLE_POLL_S)
        if heard.reachable:
            member.heard, member.answered_at = heard, now
        else:
            member.heard = Heard(heard.name, False, member.heard.versions)


def _decides(member: _Member, now: float) -> bool:
    heard = member.heard
    if heard.reachable:
        return bool(heard.versions or heard.refused)
    # What a lost one used when it was last heard is still its business for a while.
    return bool(heard.versions) and member.answered_at is not None and now - member.answered_at < LOST_AFTER_S
