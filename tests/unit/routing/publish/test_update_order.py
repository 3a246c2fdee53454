"""Make before break under any interleaving of new desired snapshots, reports, restarts and crashes."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.routing.compile import compile
from fairlead.routing.publish.resource_sets import KINDS, DesiredResources, Kind
from fairlead.routing.publish.update_order import Settled, Wait, rejection_reason, rejections
from fairlead.routing.snapshot import Endpoint, Routed, Snapshot
from unit.routing.publish.simulated import DRAIN_S, POISON, Gateway, Publisher
from unit.routing.tables import SETTINGS, V1, V2, V3, iris


def snapshot(routed: Routed, port: int = 9000) -> Snapshot:
    pins = (("default", "iris", ref) for ref in (V1, V2, V3))
    return compile([routed], {key: [Endpoint("127.0.0.1", port + n)] for n, key in enumerate(pins)}, SETTINGS)


def poisoned(kind: Kind, of: Snapshot) -> Snapshot:
    """A snapshot that every gateway rejects, in one kind."""
    if kind == "cds":
        return replace(
            of, clusters={**of.clusters, "direct~default~iris~9": {"name": "direct~default~iris~9", "x": POISON}}
        )
    field = "routes" if kind == "rds" else "listeners"
    resources = copy.deepcopy(dict(getattr(of, field)))
    for resource in resources.values():
        resource["x"] = POISON
    return replace(of, **{field: resources})


ALONE = snapshot(iris(1, pins=(V1,)))
CANARY = snapshot(iris(2, candidate=V2, weight=500, pins=(V1, V2)))
HALF = snapshot(iris(3, candidate=V2, weight=5000, pins=(V1, V2)))
ALL = snapshot(iris(4, candidate=V2, weight=10_000, pins=(V1, V2)))
PROMOTED = snapshot(iris(5, stable=V2, pins=(V1, V2)))
ROLLED_BACK = snapshot(iris(6, pins=(V1, V2)))
NEXT = snapshot(iris(7, stable=V2, candidate=V3, weight=100, pins=(V2, V3), attempt=1))
MOVED = snapshot(iris(8, candidate=V2, weight=5000, pins=(V1, V2)), port=9500)
ALONE_DESIRED = DesiredResources.of(ALONE)
HEALTHY = [DesiredResources.of(one) for one in (ALONE, CANARY, HALF, ALL, PROMOTED, ROLLED_BACK, NEXT, MOVED)]
POISONED = [DesiredResources.of(poisoned(kind, one)) for kind in KINDS for one in (HALF, NEXT)]


class AnyOrder(RuleBasedStateMachine):
    """After every step no gateway routes to a missing cluster; at the end all serve the last desired snapshot."""

    @initialize(first=st.integers(0, len(HEALTHY) - 1), count=st.integers(1, 3))
    def begin(self, first: int, count: int) -> None:
        self.publisher = Publisher([])
        self.names = itertools.count(10)
        self.desired = HEALTHY[first]
        self.publisher.want(self.desired)
        self.publisher.advance(self.desired)
        self.publisher.gateways = [Gateway(f"edge-{n}") for n in range(count)]
        for gateway in self.publisher.gateways:
            gateway.restart(self.publisher.state.published)

    @rule(number=st.integers(0, len(HEALTHY + POISONED) - 1))
    def want(self, number: int) -> None:
        self.desired = (HEALTHY + POISONED)[number]
        self.publisher.want(self.desired)

    @rule()
    def step(self) -> None:
        self.publisher.poll()
        self.publisher.advance(self.desired)

    @rule()
    def publish_without_polling(self) -> None:
        self.publisher.advance(self.desired)

    @rule(n=st.integers(0, 2), kind=st.sampled_from(KINDS))
    def read(self, n: int, kind: Kind) -> None:
        self.publisher.gateways[n % len(self.publisher.gateways)].read(kind)

    @rule(seconds=st.sampled_from([0.1, DRAIN_S]))
    def pass_time(self, seconds: float) -> None:
        self.publisher.now += seconds

    @rule(n=st.integers(0, 2))
    def restart_gateway(self, n: int) -> None:
        self.publisher.gateways[n % len(self.publisher.gateways)].restart(self.publisher.state.published)

    @rule(n=st.integers(0, 2))
    def lose_or_find_gateway(self, n: int) -> None:
        gateway = self.publisher.gateways[n % len(self.publisher.gateways)]
        gateway.reachable = not gateway.reachable

    @rule(n=st.integers(0, 2), kind=st.sampled_from(KINDS))
    def skip(self, n: int, kind: Kind) -> None:
        if self.publisher.gateways:
            self.publisher.gateways[n % len(self.publisher.gateways)].skip(kind)

    @rule()
    def take_over(self) -> None:
        """A gateway reports a rejection once. A new leader must not depend on having received that report."""
        self.publisher.take_over()
        self.publisher.want(self.desired)

    @precondition(lambda self: len(self.publisher.gateways) < 3)
    @rule()
    def join(self) -> None:
        gateway = Gateway(f"edge-{next(self.names)}")
        gateway.restart(self.publisher.state.published)
        self.publisher.gateways.append(gateway)

    @precondition(lambda self: len(self.publisher.gateways) > 1)
    @rule(n=st.integers(0, 2))
    def leave(self, n: int) -> None:
        del self.publisher.gateways[n % len(self.publisher.gateways)]

    @precondition(lambda self: len(self.publisher.gateways) == 1)
    @rule()
    def crash(self) -> None:
        self.publisher.crash()
        self.publisher.want(self.desired)

    @invariant()
    def published_files_never_dangle(self) -> None:
        fresh = Gateway("fresh")
        fresh.restart(self.publisher.state.published)
        for kind in KINDS:
            fresh.read(kind)

    def teardown(self) -> None:
        if not hasattr(self, "publisher"):
            return
        self.desired = HEALTHY[0]
        self.publisher.want(self.desired)
        for gateway in self.publisher.gateways:
            gateway.reachable = True
        for _ in range(30):
            self.publisher.poll()
            if isinstance(self.publisher.advance(self.desired), Settled):
                break
            self.publisher.now += DRAIN_S
            for gateway in self.publisher.gateways:
                for kind in KINDS * 3:
                    gateway.read(kind)
        else:
            raise AssertionError("does not converge")
        for gateway in self.publisher.gateways:
            assert {kind: gateway.used[kind].content.digest for kind in KINDS} == {
                kind: content.digest for kind, content in self.desired.kinds.items()
            }


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40)


def settled_on(desired: DesiredResources) -> Publisher:
    publisher = Publisher([])
    publisher.want(desired)
    publisher.advance(desired)
    publisher.gateways = [Gateway()]
    publisher.gateways[0].restart(publisher.state.published)
    settle(publisher, desired)
    publisher.published.clear()
    return publisher


def settle(publisher: Publisher, desired: DesiredResources) -> None:
    for _ in range(20):
        read_all(publisher)
        publisher.poll()
        if isinstance(publisher.advance(desired), Settled):
            return
        publisher.now += DRAIN_S
    raise AssertionError("does not settle")


def read_all(publisher: Publisher) -> None:
    for gateway in publisher.gateways:
        for kind in KINDS:
            while gateway.unread[kind]:
                gateway.read(kind)


def order(publisher: Publisher) -> list[str]:
    return [f"{action.kind} {action.update.version.split('.')[1][0]}" for action in publisher.published]


def test_new_clusters_come_first_then_routes_then_old_clusters_are_removed() -> None:
    publisher = settled_on(DesiredResources.of(HALF))
    desired = DesiredResources.of(NEXT)
    publisher.want(desired)
    settle(publisher, desired)
    assert order(publisher) == ["cds a", "rds b", "cds c"]


def test_a_weight_change_is_one_update() -> None:
    publisher = settled_on(DesiredResources.of(CANARY))
    publisher.want(DesiredResources.of(ALL))
    settle(publisher, DesiredResources.of(ALL))
    assert order(publisher) == ["rds b"]


def test_routes_wait_for_their_clusters() -> None:
    publisher = settled_on(DesiredResources.of(ALONE))
    desired = DesiredResources.of(CANARY)
    publisher.want(desired)
    assert publisher.advance(desired) == Wait("clusters to be acknowledged")
    publisher.poll()
    assert publisher.advance(desired) == Wait("clusters to be acknowledged")
    publisher.gateways[0].read("cds")
    publisher.poll()
    assert publisher.advance(desired) == Wait("routes to be acknowledged")
    assert order(publisher) == ["cds a", "rds b"]


def test_routes_wait_for_clusters_that_are_still_warming() -> None:
    publisher = settled_on(DesiredResources.of(ALONE))
    desired = DesiredResources.of(CANARY)
    publisher.want(desired)
    publisher.advance(desired)
    publisher.gateways[0].read("cds")
    warming = replace(publisher.gateways[0].report(), warming=1)
    publisher.gateways[0].report = lambda: warming  # type: ignore[method-assign]
    publisher.poll()
    assert publisher.advance(desired) == Wait("clusters to be acknowledged")


def test_clusters_outlive_their_last_route_by_the_drain_time() -> None:
    publisher = settled_on(DesiredResources.of(HALF))
    desired = DesiredResources.of(ALONE)
    publisher.want(desired)
    publisher.advance(desired)
    read_all(publisher)
    publisher.poll()
    draining = Wait("requests on the old routes to finish", until=publisher.now + DRAIN_S)
    assert publisher.advance(desired) == draining
    publisher.now += DRAIN_S - 0.01
    assert publisher.advance(desired) == draining
    publisher.now += 0.01
    publisher.advance(desired)
    assert order(publisher) == ["rds b", "cds c"]


FALLS = [CANARY, ROLLED_BACK, ALONE, snapshot(iris(9, pins=(V1, V2)), port=9700)]


@settings(max_examples=100)
@given(
    before=st.lists(st.sampled_from([HALF, ALL, MOVED]), min_size=1, max_size=4),
    reading=st.lists(st.tuples(st.booleans(), st.sampled_from(KINDS)), max_size=12),
    fall=st.sampled_from(FALLS),
)
def test_a_lower_weight_is_published_at_once_whatever_is_in_progress(
    before: list[Snapshot], reading: list[tuple[bool, Kind]], fall: Snapshot
) -> None:
    publisher = settled_on(DesiredResources.of(HALF))
    for one in before:
        publisher.want(DesiredResources.of(one))
        publisher.advance(DesiredResources.of(one))
        for polls, kind in reading:
            publisher.gateways[0].read(kind)
            if polls:
                publisher.poll()
    desired = DesiredResources.of(fall)
    publisher.gateways[0].reachable = False
    publisher.want(desired)
    publisher.advance(desired)
    assert publisher.state.published["rds"].content.digest == desired.kinds["rds"].digest


def test_a_promotion_waits_for_stables_new_clusters() -> None:
    publisher = settled_on(DesiredResources.of(ALL))
    desired = DesiredResources.of(PROMOTED)
    publisher.want(desired)
    assert publisher.advance(desired) == Wait("clusters to be acknowledged")


def test_routes_that_hold_no_longer_wait_for_the_clusters_with_the_instances() -> None:
    table = iris(2, pins=(V1,), cold=(V1,))
    cold = compile([table], {}, SETTINGS)
    publisher = settled_on(DesiredResources.of(cold))
    woken = DesiredResources.of(snapshot(iris(3, pins=(V1,))))
    publisher.want(woken)
    settle(publisher, woken)
    assert order(publisher) == ["cds a", "rds b"], "the requests would meet a cluster without instances"


def test_routes_that_begin_to_hold_are_published_at_once() -> None:
    publisher = settled_on(ALONE_DESIRED)
    cold = DesiredResources.of(compile([iris(2, pins=(V1,), cold=(V1,))], {}, SETTINGS))
    publisher.want(cold)
    publisher.advance(cold)
    assert order(publisher)[0] == "rds b"


def test_rejected_content_is_replaced_reported_and_not_sent_again() -> None:
    publisher = settled_on(DesiredResources.of(CANARY))
    good = publisher.state.published["rds"].content.digest
    desired = DesiredResources.of(poisoned("rds", HALF))
    publisher.want(desired)
    for _ in range(5):
        publisher.advance(desired)
        read_all(publisher)
        publisher.poll()
    assert order(publisher) == ["rds b", "rds r"]
    assert publisher.state.published["rds"].content.digest == good
    assert rejection_reason(publisher.state, desired) == "rds: it is poisoned"
    assert publisher.advance(desired) == Wait("rejected: rds: it is poisoned")


def test_routes_are_not_published_when_their_clusters_are_rejected() -> None:
    publisher = settled_on(DesiredResources.of(ALONE))
    desired = DesiredResources.of(poisoned("cds", CANARY))
    publisher.want(desired)
    for _ in range(5):
        publisher.advance(desired)
        read_all(publisher)
        publisher.poll()
    assert order(publisher) == ["cds a", "cds r"]


def test_the_same_desired_snapshot_again_changes_nothing() -> None:
    publisher = settled_on(DesiredResources.of(CANARY))
    publisher.want(DesiredResources.of(CANARY))
    assert publisher.state.sequence == 1
    assert isinstance(publisher.advance(DesiredResources.of(CANARY)), Settled)
    assert publisher.published == []


def test_without_any_gateway_nothing_is_acknowledged() -> None:
    publisher = Publisher([])
    publisher.want(HEALTHY[0])
    publisher.advance(HEALTHY[0])
    publisher.poll()
    assert publisher.advance(HEALTHY[0]) == Wait("routes to be acknowledged")


def test_with_no_gateway_to_wait_for_everything_is_published_at_once() -> None:
    publisher = settled_on(DesiredResources.of(ALONE))
    publisher.gateways = []
    publisher.poll()
    desired = DesiredResources.of(CANARY)
    publisher.want(desired)
    publisher.advance(desired)
    assert order(publisher) == ["cds a", "rds b"]
    fresh = Gateway("fresh")
    fresh.restart(publisher.state.published)
    for kind in KINDS:
        fresh.read(kind)
    assert fresh.used["rds"].content.digest == desired.kinds["rds"].digest


def test_a_gateway_that_rejects_is_named_and_the_content_is_withdrawn_from_the_others() -> None:
    publisher = settled_on(DesiredResources.of(CANARY))
    second = Gateway("edge-2")
    second.restart(publisher.state.published)
    publisher.gateways.append(second)
    settle(publisher, DesiredResources.of(CANARY))
    desired = DesiredResources.of(poisoned("rds", HALF))
    publisher.want(desired)
    publisher.advance(desired)
    second.read("rds")
    publisher.poll()
    publisher.advance(desired)
    assert rejections(publisher.state, desired) == {"edge-2": "rds: it is poisoned"}
    assert order(publisher) == ["rds b", "rds r"]


def test_a_new_leader_publishes_unacknowledged_content_again() -> None:
    publisher = settled_on(DesiredResources.of(CANARY))
    desired = DesiredResources.of(poisoned("rds", HALF))
    publisher.want(desired)
    publisher.advance(desired)
    publisher.take_over()
    assert order(publisher) == ["rds b", "rds b"]
    first, again = (action.update for action in publisher.published)
    assert first.content.digest == again.content.digest
    assert first.order < again.order
