"""How many requests per second each model got in the last minutes: from the counters that the engine reads anyway."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from fairlead.contracts.gateway import ClusterKey, Role
from fairlead.rollout.ports import Reading

READINGS = 60
"""How many readings are kept of a model: five minutes of the engine's windows."""
_COMPLETED, _RETRIED = "upstream_rq_completed", "retry.upstream_rq_completed"
Model = tuple[str, str]
"""A namespace, and a model in it."""


class Source(Protocol):
    """The part of `rollout.ports.MetricSource` that is watched, and its end."""

    def read(self) -> Sequence[Reading]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class _Seen(NamedTuple):
    reading: Reading
    requests: Mapping[ClusterKey, int]


class WatchedLoad:
    """A `rollout.ports.MetricSource` that remembers what it has read. Only `read` and `close` belong to one thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen: dict[str, _Seen] = {}
        self._rates: dict[Model, deque[float]] = {}
        self._lock = threading.Lock()
        self.readings = 0
        """How often something was read."""

    def read(self) -> Sequence[Reading]:
        """The readings of the source, unchanged."""
        found = self._source.read()
        seen = {one.gateway: _Seen(one, _requests(one)) for one in found}
        if seen:
            counted = [_rates(self._seen.get(name), one) for name, one in seen.items()]
            models = {(key.namespace, key.model) for one in seen.values() for key in one.requests}
            with self._lock:
                # A model that no gateway counts any more is gone, so this never has more models than the gateways.
                self._rates = {one: self._rates.get(one, deque(maxlen=READINGS)) for one in models}
                for model, rate in self._rates.items():
                    rate.append(sum(one.get(model, 0.0) for one in counted))
                self.readings += 1
        self._seen = seen
        return found

    def recent(self, namespace: str, model: str) -> tuple[float, ...]:
        """Requests per second between readings, the newest last; empty where none are known. Any thread may ask."""
        with self._lock:
            return tuple(self._rates.get((namespace, model), ()))

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def _requests(reading: Reading) -> dict[ClusterKey, int]:
    """The users' requests by cluster: those of a version's own share, and those that the split gave a candidate."""
    return {
        key: max(0, counters.get(_COMPLETED, 0) - (counters.get(_RETRIED, 0) if key.role is Role.AGGREGATE else 0))
        for key, counters in reading.clusters.items()
        if key.role in (Role.SPLIT, Role.AGGREGATE)
    }


def _rates(before: _Seen | None, after: _Seen) -> dict[Model, float]:
    """Requests per second by model between two readings of one gateway; none if it was restarted in between."""
    if before is None:
        return {}
    seconds = (after.reading.at - before.reading.at).total_seconds()
    if seconds <= 0 or (after.reading.uptime_s is not None and after.reading.uptime_s < seconds):
        return {}
    versions: dict[ClusterKey, float] = {}
    for key, count in after.requests.items():
        # A candidate's requests are in two clusters: its own, and the one by which the split reaches it.
        version = ClusterKey(Role.SPLIT, key.namespace, key.model, key.version, key.identity)
        added = max(0, count - before.requests.get(key, 0)) / seconds
        versions[version] = max(versions.get(version, 0.0), added)
    found: dict[Model, float] = {}
    for key, rate in versions.items():
        found[key.namespace, key.model] = found.get((key.namespace, key.model), 0.0) + rate
    return found
