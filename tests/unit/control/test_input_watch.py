"""Whether a candidate gets other rows than stable: what was counted since the present weight, of every instance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.status import Condition, Reason
from fairlead.contracts.table import Table
from fairlead.control.input_watch import EVERY_S, MAX_INSTANCES, OLD, ROUND_S, ROUTE_S, InputWatch, _asked
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
    fetched: list[str] = field(default_factory=list)
    answer: Callable[[], None] = lambda: None
    """What happens while one is asked."""
    held: threading.Event = field(default_factory=threading.Event)

    def fetch(self, instance: Instance) -> str:
        self.held.wait()
        self.fetched.append(instance.id)
        self.answer()
        if instance.id in self.silent:
            raise errors.Unavailable("it did not answer")
        return a_text(of_points(), {"x": self.counts.get(instance.id, [0] * 5)})

    @property
    def asked(self) -> int:
        return len(self.fetched)

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

    def ask(self, weight: int = 1000, instances: Sequence[Instance] = INSTANCES, route: str = "iris") -> Condition:
        candidate = CANDIDATE if weight else None
        pins = (STABLE, CANDIDATE) if weight else (STABLE,)
        table = Table(
            model="iris", stable=STABLE, candidate=candidate, weight=weight, pins=pins, attempt=1, sticky=None
        )
        return self.watch.compared(route, table, instances)

    def read(self, weight: int = 1000, instances: Sequence[Instance] = INSTANCES) -> Condition:
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


def another(instance: Instance, number: int = 1) -> Instance:
    return instance.model_copy(update={"id": f"{instance.id}-{number}"})


def test_a_candidate_that_gets_other_rows_is_told(service: Service, watch: Watch) -> None:
    assert watch.read().reason == Reason.NOT_COMPARED
    service.count(INSTANCES[0], ALIKE)
    service.count(INSTANCES[1], OTHERS)
    assert "1.1.0 gets other rows than 1.0.0: x differs" in watch.read().message


def test_a_candidate_that_gets_the_same_rows_is_alike(service: Service, watch: Watch) -> None:
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read().reason == Reason.INPUTS_ALIKE


def test_rows_of_many_readings_are_added_up(service: Service, watch: Watch) -> None:
    watch.read()
    for _ in range(6):
        service.count(INSTANCES[0], [0, 50, 50, 0, 0])
        service.count(INSTANCES[1], [0, 95, 5, 0, 0])
        said = watch.read()
    assert said.reason == Reason.INPUTS_DIFFER


def test_rows_from_before_the_present_weight_are_taken_off(service: Service, watch: Watch) -> None:
    service.count(INSTANCES[0], OTHERS)
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read().reason == Reason.INPUTS_ALIKE
    service.count(INSTANCES[1], OTHERS)
    assert watch.read(5000).reason == Reason.NOT_COMPARED, "at a new weight everything begins again"


def test_an_instance_that_begins_again_is_counted_from_then_on(service: Service, watch: Watch) -> None:
    for one in INSTANCES:
        service.count(one, ALIKE)
    watch.read()
    service.counts[INSTANCES[1].id] = [0] * 5
    assert watch.read().reason == Reason.NOT_COMPARED
    service.count(INSTANCES[0], ALIKE)
    service.count(INSTANCES[1], OTHERS)
    assert watch.read().reason == Reason.INPUTS_DIFFER


def test_after_a_pod_is_replaced_only_rows_of_the_same_time_are_compared(service: Service, watch: Watch) -> None:
    stable, old = INSTANCES
    new = another(old)
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    assert watch.read().reason == Reason.INPUTS_ALIKE
    service.count(stable, [0, 0, 9000, 0, 0])
    watch.read(instances=(stable, new))
    for one in (stable, new):
        service.count(one, ALIKE)
    assert watch.read(instances=(stable, new)).reason == Reason.INPUTS_ALIKE
    assert [name for name, _ in watch.watch._routes["iris"].candidate.last] == [new.id]


def test_a_version_that_misses_a_reading_loses_no_rows_and_what_was_told_stays(service: Service, watch: Watch) -> None:
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    watch.read()
    service.silent.add(INSTANCES[1].id)
    service.count(INSTANCES[0], ALIKE)
    service.count(INSTANCES[1], [0, 1000, 0, 0, 0])
    assert watch.read().reason == Reason.INPUTS_ALIKE
    service.silent.clear()
    service.count(INSTANCES[1], [0, 1000, 0, 0, 0])
    assert watch.read().reason == Reason.INPUTS_DIFFER


def test_an_old_comparison_is_not_told_any_more_and_the_cause_is(service: Service, watch: Watch) -> None:
    watch.read()
    for one in INSTANCES:
        service.count(one, ALIKE)
    watch.read()
    service.silent.add(INSTANCES[1].id)
    for _ in range(OLD):
        assert watch.read().reason == Reason.INPUTS_ALIKE
    said = watch.read()
    assert said.reason == Reason.NOT_COMPARED
    assert said.message == "no instance of 1.1.0 says what it has counted: it did not answer"


def test_a_replica_that_leads_again_does_not_tell_what_it_knew(service: Service, watch: Watch) -> None:
    watch.read()
    service.count(INSTANCES[0], ALIKE)
    service.count(INSTANCES[1], OTHERS)
    assert watch.read().status
    service.held.clear()
    watch.now += 3600
    assert not watch.ask().status


def test_an_unexpected_error_is_logged_once(
    service: Service, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch.watch, "_fetch", lambda _: 1 / None)  # type: ignore[operator]
    for _ in range(2):
        assert watch.read().message == "comparing failed: see the log of the control plane"
    assert len(caplog.records) == 1


def test_few_instances_of_each_version_are_asked_and_both_have_their_turn(service: Service, watch: Watch) -> None:
    many = [another(one, number) for one in INSTANCES for number in range(20)]
    watch.read(instances=many)
    assert service.asked == 2 * MAX_INSTANCES
    first = _asked(STABLE, CANDIDATE, many)
    assert [one.ref for one in first[:4]] == [STABLE, CANDIDATE, STABLE, CANDIDATE]


def test_a_reading_ends_at_its_time_or_when_the_watch_is_closed(service: Service, watch: Watch) -> None:
    many = [another(one, number) for one in INSTANCES for number in range(MAX_INSTANCES)]
    service.answer = lambda: setattr(watch, "now", watch.now + ROUND_S / 2 + 1)
    watch.read(instances=many)
    assert service.asked == 2, "the second one was asked in time, and after it nobody"
    service.answer = watch.watch.close
    watch.read(instances=many)
    assert service.asked == 3


def test_the_more_rollouts_there_are_the_less_often_each_is_asked(service: Service, watch: Watch) -> None:
    routes = [f"route-{number}" for number in range(20)]

    def asked_after(seconds: float) -> int:
        watch.now += seconds
        for name in routes:
            watch.ask(route=name)
        kept = watch.watch._routes.values()
        wait_until(lambda: all(one.running and one.running.done() for one in kept), "all were read")
        return service.asked // len(INSTANCES)

    assert asked_after(0) == len(routes)
    assert asked_after(ROUTE_S * len(routes) - 1) == len(routes)
    assert asked_after(1) == 2 * len(routes)


def test_nothing_is_asked_without_a_rollout_and_no_more_often_than_it_says(service: Service, watch: Watch) -> None:
    assert watch.ask(0).reason == Reason.NOT_COMPARED
    assert service.asked == 0
    watch.read()
    watch.ask()
    assert service.asked == len(INSTANCES)


def test_an_instance_that_hangs_holds_no_tick(service: Service, watch: Watch) -> None:
    service.held.clear()
    watch.now += EVERY_S
    assert watch.ask().reason == Reason.NOT_COMPARED
    watch.now += EVERY_S
    assert watch.ask().reason == Reason.NOT_COMPARED
    assert service.asked == 0


def test_a_route_that_has_gone_is_forgotten(watch: Watch) -> None:
    watch.read()
    watch.watch.keep(["rose"])
    assert not watch.watch._routes
