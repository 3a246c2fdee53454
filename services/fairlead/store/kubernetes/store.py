"""The whole store: one namespace, one class, a base class per noun."""

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
from fairlead.store.kubernetes.informer import Informed
from fairlead.store.kubernetes.instances import KubernetesInstances
from fairlead.store.kubernetes.kinds import ROUTES
from fairlead.store.kubernetes.objects import Direct
from fairlead.store.kubernetes.session import Fence, Session, Unfenced, now_utc
from fairlead.store.kubernetes.statuses import KubernetesStatuses
from fairlead.store.kubernetes.versions import KubernetesVersions

VERIFY_EVERY_S = 60.0
"""How long it is believed that actors are verified, or are not."""


class KubernetesStore(KubernetesVersions, KubernetesStatuses, KubernetesActions, KubernetesInstances):
    """`store.base.Store` as the objects of one namespace.

    Two ways to read. `KubernetesStore(api, namespace, fence=lease)` is a control plane's: call `start()`, then
    `wait_until_loaded()`; from then on every read is answered from memory, `change_token()` is a counter, and
    `wait(token, timeout_s)` sleeps until it moves. Before everything was listed once, every read raises NotReady: an
    empty world is never a guess. While the API server is away, reads answer what was last known, `silent_s()` grows,
    and writes raise Unavailable. `KubernetesStore.direct(api, namespace)` is a command's: each read is a request.

    `fence` says who may write what only a leader writes: revisions, windows, statuses, answers to actions, deletions.
    Such a write raises Conflict when this process does not lead. Routes and actions may be written by anyone whom the
    API server lets. Any thread may use it.
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
        log = log or logging.getLogger("fairlead.store")
        self._informed = Informed(api, namespace, log=log) if informed else None
        objects = self._informed or Direct(api, namespace)
        self._session = Session(api, objects, namespace, fence or Unfenced(), clock)
        self._parsed = {}
        self._heads = {}
        self._index = Index()
        self._sorted = ((), {})
        self._counted = {}
        self._unwritten = {}
        self._seen = ((), (), ())
        self._verified = (float("-inf"), False)

    @classmethod
    def direct(cls, api: Api, namespace: str) -> Self:
        """For a command: no threads, nothing kept."""
        return cls(api, namespace, informed=False)

    @property
    def namespace(self) -> str:
        """The namespace it is about."""
        return self._session.namespace

    @property
    def api(self) -> Api:
        """The API server, for what is no business of the store."""
        return self._session.api

    @property
    def loaded(self) -> bool:
        """Whether it can be read."""
        return self._informed is None or self._informed.loaded

    def start(self) -> None:
        """Begin to watch."""
        if self._informed is not None:
            self._informed.start()

    def wait_until_loaded(self, timeout_s: float) -> None:
        """Return as soon as it can be read. Raises Unavailable when that takes longer."""
        deadline = time.monotonic() + timeout_s
        while not self.loaded:
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"the objects of namespace {self.namespace!r} could not be listed within {timeout_s:g} s",
                    hint="is the API server up, are the definitions installed (charts/crds), may we list them?",
                )
            self.wait(self.change_token(), 0.05)

    def wait(self, token: object, timeout_s: float) -> object:
        """The change token, as soon as it differs from the one given, at the latest after so long."""
        if self._informed is None:
            return self.change_token()
        return self._informed.wait(token, timeout_s)

    @property
    def actors_are_verified(self) -> bool:
        """Whether actors are held against their callers, for `actorVerified`: asked at most once a minute."""
        if self._informed is None:
            return False  # a command does not say so of its own request
        if time.monotonic() > self._verified[0] + VERIFY_EVERY_S:
            try:
                found = actors_are_verified(self._session.api, self.namespace)
            except errors.FairleadError:
                found = False  # not known is not verified
            self._verified = (time.monotonic(), found)
        return self._verified[1]

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """See `store.base.Ledger.prune`; answered actions beyond the newest go as well."""
        gone = super().prune(route, keep=keep, now=now)
        self.forget_old_actions(route)
        return gone

    def fence(self) -> int:
        """The highest lease transition that any route's status was written in; a new Lease must begin above it."""
        found = self._session.objects.list(ROUTES)
        return max((int((one.get("status") or {}).get("fence") or 0) for one in found), default=0)

    def silent_s(self) -> float:
        """How long the API server has been silent about one kind or another; 0 when every read is a request."""
        return self._informed.silent_s() if self._informed is not None else 0.0

    def close(self) -> None:
        """Stop watching."""
        if self._informed is not None:
            self._informed.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
