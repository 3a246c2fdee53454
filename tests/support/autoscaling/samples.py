"""What a Deployment and its autoscaler did, sampled from the API server while a proof runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import Kind
from support.processes import ProcessFailed

EVERY_S = 0.5
_DEPLOYMENTS = Kind("/apis/apps/v1", "deployments", "Deployment")


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` is in seconds since the sampling began; `wanted` is `spec.replicas`."""

    at: float
    wanted: int
    ready: int


class Samples:
    """The samples of one Deployment so far, taken by a thread of their own."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api, self._namespace, self._name = api, namespace, name
        self._began = time.monotonic()
        self._found: list[Sample] = []
        self._ended = threading.Event()

    @property
    def now(self) -> float:
        """Seconds since the sampling began."""
        return time.monotonic() - self._began

    @property
    def last(self) -> Sample:
        """The newest sample."""
        return self._found[-1]

    def since(self, at: float) -> Sequence[Sample]:
        """The samples from this time on."""
        return [one for one in self._found if one.at >= at]

    def wait_for(self, condition: Callable[[Sample], bool], what: str, *, within: float) -> Sample:
        """The first sample from now on for which the condition holds. Raises ProcessFailed with all since then."""
        since = self.now
        while self.now < since + within:
            for one in self.since(since):
                if condition(one):
                    return one
            time.sleep(EVERY_S / 5)
        raise ProcessFailed(f"after {within:g} s still not true: {what}; {changes(self.since(since))}")

    def stay(self, seconds: float) -> Sequence[Sample]:
        """The samples of the next seconds."""
        since = self.now
        time.sleep(seconds)
        return self.since(since)

    def run(self) -> None:
        """Take samples until `end`. While the API server does not answer there are none."""
        while not self._ended.wait(EVERY_S):
            try:
                found = self._api.get(_DEPLOYMENTS, self._namespace, self._name)
            except errors.FairleadError:
                continue
            ready = found.get("status", {}).get("readyReplicas", 0)
            self._found.append(Sample(round(self.now, 2), found["spec"]["replicas"], ready))

    def end(self) -> None:
        """Take no more samples."""
        self._ended.set()


@contextmanager
def sampled(api: Api, namespace: str, name: str) -> Iterator[Samples]:
    """Sample a Deployment during a block."""
    samples = Samples(api, namespace, name)
    thread = threading.Thread(target=samples.run)
    thread.start()
    try:
        samples.wait_for(lambda _: True, f"the Deployment {name} exists", within=60)
        yield samples
    finally:
        samples.end()
        thread.join()


def changes(samples: Sequence[Sample]) -> list[tuple[float, int, int]]:
    """Time, wanted and ready, where one of the two changed."""
    found: list[tuple[float, int, int]] = []
    for one in samples:
        if not found or found[-1][1:] != (one.wanted, one.ready):
            found.append((one.at, one.wanted, one.ready))
    return found


def turns(samples: Sequence[Sample]) -> int:
    """How often the number of wanted instances changed its direction: up after down, or down after up."""
    wanted = [one.wanted for one in samples]
    signs = [after > before for before, after in zip(wanted, wanted[1:], strict=False) if after != before]
    return sum(one != other for one, other in zip(signs, signs[1:], strict=False))
