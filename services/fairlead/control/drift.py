"""Reads what the instances of a model have counted for drift, while somebody looks at it.

Each instance is asked on a thread of its own, at most every `EVERY_S` seconds, so an instance that hangs delays neither
a page nor the loop. Nothing is read while nobody looks, and only the last reading of a model is kept.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import NamedTuple

from fairlead import errors
from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.control import bounded
from fairlead.control.answers import Connect, plain
from fairlead.profile.counted import Counted, added, read
from fairlead.rollout.ports import InstanceAddress
from fairlead.views.drift import Asked

EVERY_S = 5.0
TIMEOUT_S = 2.0
"""For connecting, and for each packet of an answer."""
ANSWER_S = 5.0
"""For the whole answer: while one that comes byte by byte holds a thread, the pages of other models wait for it."""
MAX_CONCURRENT = 8
MAX_BYTES = 4 << 20
"""The largest text of an instance: a profile of 5,000 bins gives 1.5 MB."""
MAX_INSTANCES = 50
"""The instances of a version that are asked; of more, the first ones by name."""
MAX_MODELS = 16
"""The models whose last reading is kept."""
Fetch = Callable[[Instance], str]
"""The text of one instance. Raises Unavailable."""


def over_http(connect: Connect = plain, *, answer_s: float = ANSWER_S) -> Fetch:
    """Asks an instance at its own address, which has `answer_s` for the whole answer."""

    def fetch(instance: Instance) -> str:
        at = InstanceAddress(
            instance.id, instance.ref, instance.host, instance.port, instance.namespace, instance.model
        )
        connection = connect(at, TIMEOUT_S)
        try:
            status, text = bounded.get(connection, DRIFT_PATH, within_s=answer_s, most=MAX_BYTES)
            if status != http.client.OK:
                raise errors.Unavailable(f"it answered with status {status}")
            if len(text) > MAX_BYTES:
                raise errors.Unavailable(f"its text has more than {MAX_BYTES >> 20} MiB")
            return text.decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise errors.Unavailable(f"it did not answer: {str(error) or type(error).__name__}") from None
        finally:
            connection.close()

    return fetch


def counts_of(instances: Iterable[Instance], fetch: Fetch, pool: ThreadPoolExecutor) -> dict[VersionRef, Asked]:
    """What the instances of one model have counted, added up for each version."""
    by: dict[VersionRef, list[Instance]] = {}
    for one in sorted(instances, key=lambda one: one.id):
        by.setdefault(one.ref, []).append(one)
    asked = {ref: [(one, pool.submit(_counted, one, fetch)) for one in few[:MAX_INSTANCES]] for ref, few in by.items()}
    return {ref: _asked(ref, found, len(by[ref])) for ref, found in asked.items()}


def _counted(instance: Instance, fetch: Fetch) -> Counted | str:
    """Its counts, or why they are not known."""
    try:
        return read(fetch(instance))
    except errors.FairleadError as error:
        return error.message
    except (ValueError, ArithmeticError) as error:
        return f"what it says cannot be read: {error}"


def _asked(ref: VersionRef, found: Sequence[tuple[Instance, Future[Counted | str]]], instances: int) -> Asked:
    counts, problems = list[Counted](), list[str]()
    for instance, future in found:
        told = future.result()
        if isinstance(told, Counted):
            counts.append(told)
        else:
            why = f" ({instance.reason})" if instance.reason and not instance.ready else ""
            problems.append(f"instance {instance.id.rpartition('/')[2]}: {told}{why}")
    problems += ["it is not asked, because there are so many"] * (instances - len(found))
    try:
        counted = added(counts) if counts else None
    except ValueError as error:
        counted, problems = None, [str(error)]
    return Asked(ref.version, "", instances, counted, tuple(problems))


class Read(NamedTuple):
    """What is known of a model: `number` differs after each reading."""

    number: int
    versions: Mapping[VersionRef, Asked]


@dataclass
class _Reading:
    """The last reading of one model."""

    versions: Mapping[VersionRef, Asked] = field(default_factory=dict)
    at: float = 0.0
    """When it was begun, by the monotonic clock."""
    running: Future[None] | None = None
    number: int = 0
    """0 before the first one has ended."""


class DriftReadings:
    """The last readings of the models that somebody looks at. Any thread may use it."""

    def __init__(
        self,
        instances: Callable[[], Sequence[Instance]],
        fetch: Fetch | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instances, self._fetch, self._monotonic = instances, fetch or over_http(), monotonic
        self._lock = threading.Lock()
        self._models: OrderedDict[str, _Reading] = OrderedDict()
        self._turns = ThreadPoolExecutor(2, "drift-readings")
        self._asking = ThreadPoolExecutor(MAX_CONCURRENT, "drift")
        self.count = 0
        """How many readings have ended: what pages show may have changed since."""

    def of(self, model: str, *, wait_s: float = 0.0) -> Read:
        """The last reading. If it is old, a new one begins, and is waited for for `wait_s`."""
        with self._lock:
            reading = self._models.setdefault(model, _Reading())
            self._models.move_to_end(model)
            while len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)
            is_due = not reading.number or self._monotonic() - reading.at >= EVERY_S
            if is_due and reading.running is None:
                reading.at = self._monotonic()
                reading.running = self._turns.submit(self._read, model, reading)
            running = reading.running
        if running is not None and wait_s:
            wait([running], timeout=wait_s)
        return Read(reading.number, reading.versions)

    def close(self) -> None:
        """Read no more."""
        for pool in (self._turns, self._asking):
            pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, model: str, reading: _Reading) -> None:
        try:
            mine = [one for one in self._instances() if one.model == model and not one.ending]
            versions = counts_of(mine, self._fetch, self._asking)
            with self._lock:
                self.count += 1
                reading.number, reading.versions = self.count, versions
        finally:
            with self._lock:
                reading.running = None
