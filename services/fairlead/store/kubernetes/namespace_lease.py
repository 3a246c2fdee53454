"""The right to write in one more namespace: a Lease there, which only the leader of the platform takes.

The platform's own Lease says who leads. This one repeats it where the objects are: the policy that rejects revisions of
a frozen leader reads the Lease of the revision's namespace, and so does everybody who asks how old a status is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from fairlead import errors
from fairlead.contracts import labels
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEADERS, LEASES, Kind, Object, name_of
from fairlead.store.kubernetes.lease import DURATION_S, Lease

_ACCOUNTS = Kind("/api/v1", "serviceaccounts", "ServiceAccount")


class Leader(Protocol):
    """Who leads the platform; `lease.Lease` of its own namespace."""

    identity: str

    def leads(self) -> bool: ...  # noqa: D102


class NamespaceLease(Lease):
    """One replica's use of the Lease of one more namespace; a `session.Fence`.

    Transitions are counted in each namespace: so a namespace that had another platform before goes on above its number,
    which routes have seen, or a Lease that it left: the policy compares revisions with every Lease of the namespace.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        *,
        release: str,
        platform: str,
        leader: Leader,
        log: logging.Logger,
        floor: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`platform` is the namespace of the platform, and `release` its name there."""
        self._leader, self._namespace = leader, namespace
        self._name = labels.served_name(release, platform)
        self._others: dict[str, tuple[object, float]] = {}
        self._highest = 0
        """The transition of the other Leases here, when they were listed."""
        super().__init__(
            api,
            namespace,
            self._name,
            leader.identity,
            log=log,
            floor=lambda: max(floor(), self._highest),
            owners=self._account,
            more_labels={labels.INSTANCE: release, labels.PLATFORM: platform},
            monotonic=monotonic,
        )

    def leads(self) -> bool:
        """Whether this process leads the platform, and has told so in this namespace."""
        return self._leader.leads() and super().leads()

    def attempt(self) -> bool:
        """Take or renew the Lease if this process leads the platform. Raises Refused while another platform is here."""
        if not self._leader.leads():
            self._held = None
            return False
        if self._held is None and (other := self._other_platform()):
            raise errors.Refused(
                f"namespace {self._namespace} has a control plane of another platform: {other} is renewed",
                hint="uninstall that one, or take the namespace out of `namespaces` of this platform's values",
            )
        return super().attempt()

    def _is_free(self, found: Object, now: float) -> bool:  # noqa: ARG002
        """Always: its name belongs to this platform, and another replica of it does not lead any more."""
        return True

    def _other_platform(self) -> str:
        """The name of another Lease that somebody renews; empty if there is none.

        One that is seen for the first time may be a left one: it counts until its time is over, by our own clock.
        """
        now, listed = self._monotonic(), self._api.list(LEASES, self._namespace, LEADERS)[0]
        found = {name_of(one): one for one in listed if name_of(one) != self._name}
        self._highest = max((int(_spec(one).get("leaseTransitions") or 0) for one in found.values()), default=0)
        others = {name: one for name, one in found.items() if _spec(one).get("holderIdentity")}
        for name, one in others.items():
            version = one["metadata"]["resourceVersion"]
            if name not in self._others or self._others[name][0] != version:
                self._others[name] = (version, now)
        return next((name for name in others if now < self._others[name][1] + DURATION_S), "")

    def _account(self) -> Sequence[Object]:
        """The chart's own object in this namespace owns the Lease, so that an uninstall deletes it too."""
        try:
            metadata = self._api.get(_ACCOUNTS, self._namespace, self._name)["metadata"]
        except (errors.NotFound, errors.Refused):
            return ()
        return ({"apiVersion": "v1", "kind": "ServiceAccount", "name": metadata["name"], "uid": metadata["uid"]},)


def _spec(lease: Object) -> Object:
    return lease.get("spec") or {}
