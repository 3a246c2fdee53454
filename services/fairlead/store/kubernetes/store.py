"""The Kubernetes store: one namespace, one class, composed of a base class per kind of document.

`namespaces` makes one store of several of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self

from fairlead import errors
from fairlead.store.kubernetes.actions import KubernetesActions
from fairlead.store.kubernetes.admission import actors_are_verified
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.index import Index
from fairlead.store.kubernetes.informer import CachedObjects
from fairlead.store.kubernetes.instances import KubernetesInstances
from fairlead.store.kubernetes.kinds import ROUTES
from fairlead.store.kubernetes.leftovers import Leftovers
from fairlead.store.kubernetes.objects import DirectObjects
from fairlead.store.kubernetes.scales import KubernetesScales
from fairlead.store.kubernetes.session import Fence, Session, Unfenced, now_utc
from fairlead.store.kubernetes.statuses import KubernetesStatuses

VERIFY_INTERVAL_S = 60.0
"""How long the result of the check whether actors are verified is cached."""


class KubernetesStore(KubernetesScales, KubernetesStatuses, KubernetesActions, KubernetesInstances):
    """`store.base.Store` as the objects of one namespace. It is thread-safe.

    There are two ways to read:

    - `KubernetesStore(api, namespace, fence=lease)` is for a control plane. Call `start()`, then `wait_until_loaded()`.
      From then on all reads come from memory, `change_token()` is a counter, and `wait(token, timeout_s)` sleeps until
      it changes. Until every kind was listed once, reads raise NotReady, because an empty result could be wrong. During
      an outage of the API server, reads return the last known state, `silent_s()` grows, and writes raise Unavailable.
    - `KubernetesStore.direct(api, namespace)` is for a command: each read is a request.

    `fence` restricts the writes that only the leader may make: revisions, windows, statuses, outcomes of actions,
    deletions, and how many pods a version has. Such a write raises Conflict if this process does not lead. Routes and
    actions may be written by every user whom the API server allows to.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        *,
        fence: Fence | None = None,
        log: logging.Logger | None = None,
        clock: Callable[[], datetime] = now_utc,
        informed: bool = True,
    ) -> None:
        log = self._log = log or logging.getLogger("fairlead.store")
        self._cached = CachedObjects(api, namespace, log=log) if informed else None
        objects = self._cached or DirectObjects(api, namespace)
        self._session = Session(api, objects, namespace, fence or Unfenced(), clock)
        self._parsed = {}
        self._heads = {}
        self._index = Index()
        self._sorted = ((), {})
        self._counted = {}
        self._pending = {}
        self._refused = {}
        self._adopted = {}
        self._leftovers = Leftovers(self._session, log)
        self._seen = ((), ())
        self._verified = (float("-inf"), False)

    @classmethod
    def direct(cls, api: Api, namespace: str) -> Self:
        """For a command: no threads, no cache."""
        return cls(api, namespace, informed=False)

    @property
    def namespace(self) -> str:
        """The namespace of its objects."""
        return self._session.namespace

    @property
    def api(self) -> Api:
        """The API server, for requests outside the store."""
        return self._session.api

    @property
    def loaded(self) -> bool:
        """Whether reads are possible."""
        return self._cached is None or self._cached.loaded

    @property
    def refused(self) -> str:
        """Why the API server refuses to show the objects of the namespace; empty while it does not."""
        return self._cached.refused if self._cached is not None else ""

    def start(self) -> None:
        """Start the informers."""
        if self._cached is not None:
            self._cached.start()

    def wait_until_loaded(self, timeout_s: float) -> None:
        """Wait until reads are possible. Raises Unavailable after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not self.loaded:
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"the objects of namespace {self.namespace!r} could not be listed within {timeout_s:g} s",
                    hint="check that the API server is up, that the CRDs are installed (charts/crds), and that this "
                    "account may list them",
                )
            self.wait(self.change_token(), 0.05)

    def wait(self, token: object, timeout_s: float) -> object:
        """Wait until the change token differs from `token`, at most `timeout_s`, and return the current one."""
        if self._cached is None:
            return self.change_token()
        return self._cached.wait(token, timeout_s)

    @property
    def actors_are_verified(self) -> bool:
        """Whether a policy checks actors against callers, for `actorVerified`. Checked at most once a minute."""
        if self._cached is None:
            return False  # a command does not vouch for its own request
        if time.monotonic() > self._verified[0] + VERIFY_INTERVAL_S:
            try:
                found = actors_are_verified(self._session.api, self.namespace)
            except errors.FairleadError:
                found = False  # unknown counts as not verified
            self._verified = (time.monotonic(), found)
        return self._verified[1]

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """See `store.base.Ledger.prune`. Old finished actions are deleted as well."""
        gone = super().prune(route, keep=keep, now=now)
        self.delete_old_actions(route)
        return gone

    def fence(self) -> int:
        """The highest lease transition in any route's status. A new Lease must begin above it."""
        found = self._session.objects.list(ROUTES)
        return max((int((one.get("status") or {}).get("fence") or 0) for one in found), default=0)

    def silent_s(self) -> float:
        """Seconds since the API server last answered, for the kind where that is longest ago; 0 without informers."""
        return self._cached.silent_s() if self._cached is not None else 0.0

    def close(self) -> None:
        """Stop the informers."""
        if self._cached is not None:
            self._cached.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
