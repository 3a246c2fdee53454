"""Whether a candidate gets other rows than stable: what was counted since the present weight, of every instance."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.table import Table
from fairlead.control.input_watch import EVERY_S, InputWatch
from support.drift_texts import a_text
from support.processes import wait_until
from support.profiles import of_points
from unit.control.console.scene import CANDIDATE, STABLE, an_instance

INSTANCES = (an_instance(), an_instance(CANDIDATE))
ALIKE, OTHERS = [0, 500, 500, 0, 0], [0, 950, 50, 0, 0]


@dataclass
class Service:
    """Instances of a model: what each has counted of `x`, and whether they answer."""

    counts: dict[str, list[int]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: int = 0
    held: threading.Event = field(default_factory=threading.Event)

    def fetch(self, instance: Instance) -> str:
        self.held.wait()
        self.asked += 1
        if instance.id in self.silent:
            raise errors.Unavailable("it did not answer")
        return a_text(of_points(), {"x": self.counts.get(instance.id, [0] * 5)})

    def count(self, instance: Instance, rows: list[int]) -> None:
        before = self.counts.get(instance.id, [0] * 5)
        self.counts[instance.id] = [a + b for a, b in zip(before, rows, strict=True)]


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    found.held.set()
    yield found
    found.held.set()


class Watch:
    """The watch with a clock of its own."""

    def __init__(self, service: Service) -> None:
        self.now, self.service = 0.0, service
        self.watch = InputWatch(service.fetch, monotonic=lambda: self.now)

    def ask(self, weight: int = 1000, instances: tuple[Instance, ...] = INSTANCES) -> str | None:
        candidate = CANDIDATE if weight else None
        pins = (STABLE, CANDIDATE) if weight else (STABLE,)
        table = Table(model="iris", stable=STABLE, candidate=candidate, weight=weight, pins=pins, attempt=1)
        return self.watch.difference("iris", table, instances)

    def read(self, weight: int = 1000, instances: tuple[Instance, ...] = INSTANCES) -> str | None:
        """What is told after one more reading."""
        self.now += EVERY_S
        self.ask(weight, instances)
        running = self.watch._routes["iris"].running
        assert running is not None
        wait_until(running.done, "the instances were read")
        return self.ask(weight, instances)


@pytest.fixture
def watch(service: Service) -> Iterator[Watch]:
    found = Watch(service)
    yield found
    service.held.set()
    found.watch.close()


def test_a_candidate_that_gets_other_rows_is_told(service: Service, watch: Watch) -> None:
    assert watch.read() is None
    service.count(INSTANCES[0], ALIKE)
    service.count(INSTANCES[1], OTHERS)
    told = watch.read()
    assert told is not None
    assert "1.1.0 gets other rows than 1.0.0: x differs" in told


def test_a_candidate_that_gets_the_same_rows_is_alike(service: Service, watch: Watch) -> None:
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read() == ""


def test_rows_from_before_the_present_weight_are_taken_off(service: Service, watch: Watch) -> None:
    service.count(INSTANCES[0], OTHERS)
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read() == ""
    service.count(INSTANCES[1], OTHERS)
    assert watch.read(5000) is None, "at a new weight everything begins again"


def test_an_instance_that_begins_again_is_counted_from_then_on(service: Service, watch: Watch) -> None:
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    service.counts[INSTANCES[1].id] = [0] * 5
    assert watch.read() is None
    service.count(INSTANCES[1], OTHERS)
    told = watch.read()
    assert told is not None
    assert "x differs" in told


def test_an_instance_that_is_silent_is_left_out(service: Service, watch: Watch) -> None:
    other = INSTANCES[1].model_copy(update={"id": "default/iris/1.1.0/x/1"})
    watch.read(instances=(*INSTANCES, other))
    service.silent.add(other.id)
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read(instances=(*INSTANCES, other)) == ""


def test_nothing_is_asked_without_a_rollout_and_no_more_often_than_it_says(service: Service, watch: Watch) -> None:
    assert watch.ask(0) is None
    assert service.asked == 0
    watch.read()
    watch.ask()
    assert service.asked == len(INSTANCES)


def test_an_instance_that_hangs_holds_no_tick(service: Service, watch: Watch) -> None:
    service.held.clear()
    watch.now += EVERY_S
    assert watch.ask() is None
    watch.now += EVERY_S
    assert watch.ask() is None
    assert service.asked == 0


def test_a_route_that_has_gone_is_forgotten(watch: Watch) -> None:
    watch.read()
    watch.watch.keep(["rose"])
    assert not watch.watch._routes
