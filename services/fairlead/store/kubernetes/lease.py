"""Leader election with a Kubernetes Lease. Only the holder may write.

The holder stops writing `renew_within_s` after its last successful renewal. Another replica may take over only after
`duration_s`, which is later. Every takeover increments the lease's transition number, which is the fencing token. Each
revision and status contains it, and a policy (charts/crds) and the store refuse one that is lower than the last.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from fairlead import errors
from fairlead.contracts import labels
from fairlead.repeat import RepeatingThread
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEASES, Object

DURATION_S = 15.0
RENEW_WITHIN_S = 10.0
RETRY_S = 2.0


def _utc() -> datetime:
    return datetime.now(UTC)


class Lease:
    """One replica's use of the lease. `attempt()` tries once; `start()` repeats it on a thread until `stop()`."""

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
        more_labels: Mapping[str, str] = MappingProxyType({}),
        duration_s: float = DURATION_S,
        renew_within_s: float = RENEW_WITHIN_S,
        retry_s: float = RETRY_S,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = _utc,
    ) -> None:
        """`identity` names this process, for example by its pod. A new lease begins above the transition `floor`.

        Without `floor`, a lease that was deleted would begin again with transitions that routes have already seen.
        `owners` are the lease's owner references: deleting an owner deletes the lease.
        """
        if not retry_s < renew_within_s < duration_s:
            raise errors.Invalid("a lease needs retry < renewal < duration, or two replicas could write at once")
        self._api = api
        self._where = (LEASES, namespace, name)
        self.identity = identity
        self._log = log
        self._floor = floor
        self._owners = owners
        self._labels = {**_LABELS, **more_labels}
        self._duration_s = duration_s
        self._renew_within_s = renew_within_s
        self._monotonic = monotonic
        self._clock = clock
        self._held: tuple[float, int] | None = None
        self._observed: tuple[object, float] = (None, 0.0)
        # With jitter, so that the replicas do not all try at the same time.
        self._competing = RepeatingThread(
            "lease", self.attempt, pause_s=lambda: retry_s * random.uniform(0.8, 1.2), on_error=self._complain
        )
        self.holder = ""
        """The holder when the lease was last read; empty if there was none."""

    def leads(self) -> bool:
        """Whether this process certainly leads, by its own clock."""
        held = self._held
        return held is not None and self._monotonic() < held[0] + self._renew_within_s

    def token(self) -> int:
        """The transition in which this process leads. Raises Conflict if it does not certainly lead."""
        held = self._held
        if held is None or not self.leads():
            who = f"{self.holder} does" if self.holder and self.holder != self.identity else "the leader is not known"
            raise errors.Conflict(f"this control plane ({self.identity}) does not lead; {who}")
        return held[1]

    def start(self) -> None:
        """Start the thread."""
        self._competing.start()

    def stop(self) -> None:
        """Stop the thread and release the lease, so that the next leader need not wait until it expires.

        One that could not be renewed for long is left to expire: the API server would probably not answer now either.
        """
        self._competing.stop()
        if self.leads():
            self._release()
        self._held = None

    def attempt(self) -> bool:
        """Try once to take or renew the lease. Returns whether this process leads; raises the API server's errors."""
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
            pass  # another replica wrote first; what we hold stays valid until it expires
        return self.leads()

    def _complain(self, error: errors.FairleadError) -> None:
        self._log.warning("the lease of namespace %s cannot be renewed: %s", self._where[1], error)

    def _read(self) -> Object | None:
        try:
            found = self._api.get(*self._where)
        except errors.NotFound:
            return None
        # The time without a change is measured by our own clock, because clocks of other machines may differ.
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
        metadata = {"name": self._where[2], "labels": self._labels, "ownerReferences": list(self._owners())}
        return {"metadata": metadata, "spec": {**self._ours(), **spec}}

    def _renewed(self, found: Object) -> Object:
        """The lease, renewed. A takeover increments the transition; so does our own restart under the same name."""
        spec, now = self._spec(found), self._now()
        taken = self._held is None or not self._mine(found)
        if taken:
            transitions = max(int(spec.get("leaseTransitions") or 0), self._floor()) + 1
            spec = {**spec, "acquireTime": now, "leaseTransitions": transitions}
        metadata = {**found["metadata"], "labels": {**(found["metadata"].get("labels") or {}), **self._labels}}
        if taken and (owners := self._owners()):  # after a reinstall the old owners are gone: replace their references
            metadata["ownerReferences"] = list(owners)
        return {"metadata": metadata, "spec": {**spec, **self._ours(), "renewTime": now}}

    def _take(self, written: Object, began: float) -> None:
        transitions = int(self._spec(written)["leaseTransitions"])
        if self._held is None or self._held[1] != transitions:
            self._log.info("%s leads, transition %d", self.identity, transitions)
        self.holder = self.identity
        # The time before the request counts, because the API server may have written the lease any time since.
        self._held = (began, transitions)
        self._observed = (written["metadata"]["resourceVersion"], began)

    def _lose(self, holder: str) -> None:
        if self._held is not None:
            self._log.warning("%s leads no more; %s does", self.identity, holder)
        self._held = None

    def _release(self) -> None:
        self._held = None
        try:
            found = self._api.get(*self._where)
            if self._mine(found):
                free = {**self._spec(found), "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                self._api.replace(*self._where, {"metadata": found["metadata"], "spec": free})
        except errors.FairleadError as error:
            self._log.info("the lease could not be released; it will expire: %s", error)

    def _ours(self) -> Object:
        return {"holderIdentity": self.identity, "leaseDurationSeconds": max(1, round(self._duration_s))}

    def _now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @staticmethod
    def _spec(found: Object) -> Object:
        return found.get("spec") or {}


_LABELS = {labels.LEASE: "leader", labels.PART_OF: "fairlead"}
