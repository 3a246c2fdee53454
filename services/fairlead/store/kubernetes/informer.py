"""Informers, which keep caches up to date: list, then watch, and list again periodically or when a watch is too old."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from fairlead import errors
from fairlead.store.kubernetes.api import Api, Gone, Watch
from fairlead.store.kubernetes.cache import Cache
from fairlead.store.kubernetes.kinds import WATCHED, Kind, Object, name_of, version_of

WATCH_S = 30.0
"""How long one watch lasts. A dead connection is detected within this time plus a request's timeout."""
RESYNC_S = 300.0
"""How often everything is listed again, to repair what the watch missed."""
BACKOFF_S = (0.2, 5.0)
"""First and longest pause after an error. Short, to recover soon after an outage of the API server."""


class Informer:
    """Keeps one kind's cache up to date, on a thread of its own."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        cache: Cache,
        *,
        log: logging.Logger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._cache = cache
        self._log = log
        self._monotonic = monotonic
        self.stopping = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{cache.kind.plural}", daemon=True)
        self.seen = monotonic()
        """When the API server last answered, on the monotonic clock."""
        self.refused = ""
        """Why the API server refuses to list the objects; empty once it does not."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until the thread has ended."""
        self.stopping.set()
        while self._thread.is_alive():
            # In a loop, because a watch that is still being opened cannot be closed yet.
            if self._watch is not None:
                self._watch.close()
            self._thread.join(0.1)

    def _run(self) -> None:
        pause, complaint = BACKOFF_S[0], ""
        while not self.stopping.is_set():
            try:
                self._list_and_watch()
                pause, complaint = BACKOFF_S[0], ""
            except Gone:
                pass  # the resource version is too old: list again at once
            except (errors.FairleadError, KeyError, TypeError, ValueError) as error:
                if self.stopping.is_set():
                    return
                if isinstance(error, errors.Refused | errors.NotFound):
                    self.refused = error.message
                known, complaint = complaint, str(error)
                if complaint != known:
                    self._log.warning(
                        "cannot watch %s of namespace %s, the last known state is kept: %s",
                        self._cache.kind.plural,
                        self._namespace,
                        error,
                    )
                # Jitter: all replicas lose the API server at the same time, and should not reconnect at the same time.
                self.stopping.wait(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, BACKOFF_S[1])

    def _list_and_watch(self) -> None:
        """List once, then watch until the next resync."""
        found, version = self._api.list(self._cache.kind, self._namespace)
        self._cache.replace(found, int(version))
        self.refused = ""
        self.seen = listed = self._monotonic()
        while not self.stopping.is_set() and self._monotonic() < listed + RESYNC_S:
            version = self._follow(version)

    def _follow(self, version: str) -> str:
        """Run one watch to its end. Returns the version to continue from."""
        kind = self._cache.kind
        self._watch = self._api.watch(kind, self._namespace, version, timeout_s=WATCH_S * random.uniform(0.8, 1.2))
        for event, found in self._watch:
            self.seen = self._monotonic()
            version = str(version_of(found))
            if event == "DELETED":
                self._cache.drop(name_of(found), version_of(found))
            elif event != "BOOKMARK":
                self._cache.put(kind.trim(found))
        return version


class CachedObjects:
    """`Objects` read from caches, which informers keep up to date."""

    def __init__(self, api: Api, namespace: str, *, log: logging.Logger, kinds: Sequence[Kind] = WATCHED) -> None:
        self._changes = 0
        self._moved = threading.Condition()
        self._caches = {kind.plural: Cache(kind, self._changed) for kind in kinds}
        self._informers = [Informer(api, namespace, cache, log=log) for cache in self._caches.values()]

    def start(self) -> None:
        """Start the informers. Reads raise NotReady until `loaded` is true."""
        for informer in self._informers:
            informer.start()

    def stop(self) -> None:
        """Stop the informers. The cached objects can still be read."""
        for informer in self._informers:
            informer.stopping.set()  # signal all first, then wait for each
        for informer in self._informers:
            informer.stop()

    @property
    def loaded(self) -> bool:
        """Whether every kind was listed at least once."""
        return all(cache.loaded for cache in self._caches.values())

    @property
    def refused(self) -> str:
        """Why the API server refuses to list one of the kinds; empty while it refuses none."""
        return next((informer.refused for informer in self._informers if informer.refused), "")

    def wait(self, token: object, timeout_s: float) -> object:
        """Wait until the change token differs from `token`, at most `timeout_s`, and return the current one."""
        with self._moved:
            self._moved.wait_for(lambda: self._changes != token, timeout_s)
            return self._changes

    def silent_s(self) -> float:
        """Seconds since the API server last answered, for the kind where that is longest ago."""
        return time.monotonic() - min(informer.seen for informer in self._informers)

    def list(self, kind: Kind) -> tuple[Object, ...]:
        """See `Objects.list`."""
        return self._caches[kind.plural].list()

    def get(self, kind: Kind, name: str) -> Object | None:
        """See `Objects.get`."""
        return self._caches[kind.plural].get(name)

    def note_written(self, kind: Kind, found: Object) -> None:
        """See `Objects.note_written`."""
        self._caches[kind.plural].put(kind.trim(found))

    def note_deleted(self, kind: Kind, name: str) -> None:
        """See `Objects.note_deleted`."""
        self._caches[kind.plural].drop(name)

    def token(self) -> int:
        """The number of changes so far."""
        return self._changes

    def _changed(self) -> None:
        with self._moved:
            self._changes += 1
            self._moved.notify_all()
