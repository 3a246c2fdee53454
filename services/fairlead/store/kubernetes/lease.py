"""Leadership: one Lease, held by renewing it. Who holds it may write; who might have lost it may not.

The holder stops writing `renew_within_s` after its last successful renewal, well before anybody else may take over
at `duration_s`. Every takeover raises the lease's transition number, the fencing token: it goes into each revision
and status, where a policy (charts/crds) and the store refuse a lower one than there was.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from fairlead import errors
from fairlead.contracts import labels
from fairlead.repeat import Repeated
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import Kind, Object

LEASES = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")
DURATION_S = 15.0
RENEW_WITHIN_S = 10.0
RETRY_S = 2.0


def _utc() -> datetime:
    return datetime.now(UTC)


class Lease:
    """One candidate for one lease. `turn()` is one attempt; `start()` makes them on a thread until `stop()`."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        identity: str,
        *,
        log: logging.Logger,
        floor: Callable[[], int] = lambda: 0,
        owners: Callable[[], Sequence[Object]] = tuple,
        duration_s: float = DURATION_S,
        renew_within_s: float = RENEW_WITHIN_S,
        retry_s: float = RETRY_S,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = _utc,
    ) -> None:
        """`identity` names this process, such as its pod; `floor` is a transition that a new lease must be above.

        A lease that somebody deleted would otherwise begin again below what the routes have seen. `owners` are the
        references of what takes the lease along when it is deleted.
        """
        if not retry_s < renew_within_s < duration_s:
            raise errors.Invalid("a lease needs retry < renewal < duration, or two could write at once")
        self._api = api
        self._where = (LEASES, namespace, name)
        self.identity = identity
        self._log = log
        self._floor = floor
        self._owners = owners
        self._duration_s = duration_s
        self._renew_within_s = renew_within_s
        self._monotonic = monotonic
        self._clock = clock
        self._held: tuple[float, int] | None = None
        self._observed: tuple[object, float] = (None, 0.0)
        # Not all candidates at the same moment.
        self._competing = Repeated(
            "lease", self.turn, pause_s=lambda: retry_s * random.uniform(0.8, 1.2), tell=self._complain
        )
        self.holder = ""
        """Who held it when it was last read; empty for nobody."""

    def leads(self) -> bool:
        """Whether this process surely leads, by its own clock."""
        held = self._held
        return held is not None and self._monotonic() < held[0] + self._renew_within_s

    def token(self) -> int:
        """The transition this process leads in. Raises Conflict when it does not, or no longer surely, lead."""
        held = self._held
        if held is None or not self.leads():
            who = self.holder if self.holder and self.holder != self.identity else "nobody known"
            raise errors.Conflict(f"this control plane ({self.identity}) does not lead; {who} does")
        return held[1]

    def start(self) -> None:
        """Compete, on a thread of its own."""
        self._competing.start()

    def stop(self) -> None:
        """Compete no more; give the lease back, so that the next one need not wait for it to run out."""
        self._competing.stop()
        if self._held is not None:
            self._give_back()

    def turn(self) -> bool:
        """One attempt to take or renew it. Returns whether this process leads; raises what the API server refuses."""
        began = self._monotonic()
        found = self._read()
        try:
            if found is None:
                self._take(self._api.create(*self._where[:2], self._new()), began)
            elif self._mine(found) or self._is_free(found, began):
                self._take(self._api.replace(*self._where, self._renewed(found)), began)
            else:
                self._lose(self._spec(found).get("holderIdentity") or "")
        except errors.Conflict:
            pass  # somebody else was faster; what we hold still holds until its time is over
        return self.leads()

    def _complain(self, error: errors.FairleadError) -> None:
        self._log.warning("the lease cannot be renewed: %s", error)

    def _read(self) -> Object | None:
        try:
            found = self._api.get(*self._where)
        except errors.NotFound:
            return None
        # How long it has not moved is measured here: clocks of other machines prove nothing.
        version = found["metadata"]["resourceVersion"]
        if self._observed[0] != version:
            self._observed = (version, self._monotonic())
        self.holder = str(self._spec(found).get("holderIdentity") or "")
        return found

    def _is_free(self, found: Object, now: float) -> bool:
        spec = self._spec(found)
        lasts = float(spec.get("leaseDurationSeconds") or self._duration_s)
        return not spec.get("holderIdentity") or now >= self._observed[1] + lasts

    def _mine(self, found: Object) -> bool:
        return self._spec(found).get("holderIdentity") == self.identity

    def _new(self) -> Object:
        now = self._now()
        spec = {"acquireTime": now, "renewTime": now, "leaseTransitions": self._floor() + 1}
        metadata = {"name": self._where[2], "labels": _LABELS, "ownerReferences": list(self._owners())}
        return {"metadata": metadata, "spec": {**self._ours(), **spec}}

    def _renewed(self, found: Object) -> Object:
        """As it is, renewed; a takeover, and a restart of ours under the same name, is a transition."""
        spec, now = self._spec(found), self._now()
        taken = self._held is None or not self._mine(found)
        if taken:
            transitions = max(int(spec.get("leaseTransitions") or 0), self._floor()) + 1
            spec = {**spec, "acquireTime": now, "leaseTransitions": transitions}
        metadata = {**found["metadata"], "labels": {**(found["metadata"].get("labels") or {}), **_LABELS}}
        if taken and (owners := self._owners()):  # installed anew: the ones before are gone, and would take it along
            metadata["ownerReferences"] = list(owners)
        return {"metadata": metadata, "spec": {**spec, **self._ours(), "renewTime": now}}

    def _take(self, written: Object, began: float) -> None:
        transitions = int(self._spec(written)["leaseTransitions"])
        if self._held is None or self._held[1] != transitions:
            self._log.info("%s leads, transition %d", self.identity, transitions)
        self.holder = self.identity
        # Counted from before the request: the API server may have written it any time since.
        self._held = (began, transitions)
        self._observed = (written["metadata"]["resourceVersion"], began)

    def _lose(self, holder: str) -> None:
        if self._held is not None:
            self._log.warning("%s leads no more; %s does", self.identity, holder)
        self._held = None

    def _give_back(self) -> None:
        self._held = None
        try:
            found = self._api.get(*self._where)
            if self._mine(found):
                free = {**self._spec(found), "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                self._api.replace(*self._where, {"metadata": found["metadata"], "spec": free})
        except errors.FairleadError as error:
            self._log.info("the lease was not given back, it runs out by itself: %s", error)

    def _ours(self) -> Object:
        return {"holderIdentity": self.identity, "leaseDurationSeconds": max(1, round(self._duration_s))}

    def _now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @staticmethod
    def _spec(found: Object) -> Object:
        return found.get("spec") or {}


_LABELS = {labels.LEASE: "leader", labels.PART_OF: "fairlead"}
