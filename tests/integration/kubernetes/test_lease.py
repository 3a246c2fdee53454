"""Leader election: at most one replica writes, also after a freeze, a network failure or a kill.

The leases are real; the clocks are simulated.
"""

from __future__ import annotations

import logging

import pytest

from fairlead import errors
from fairlead.contracts import labels
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEASES, REVISIONS, Kind, Object
from fairlead.store.kubernetes.lease import Lease
from support.processes import wait_until
from unit.store.builders import a_window, an_action, routed, successor

CONFIG_MAPS = Kind("/api/v1", "configmaps", "ConfigMap")
LOG = logging.getLogger("test.lease")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def candidate(api: Api, namespace: str, name: str, clock: Clock, floor: int = 0) -> Lease:
    return Lease(api, namespace, "plane", name, log=LOG, monotonic=clock, floor=lambda: floor)


def test_the_first_leads_and_the_second_waits(api: Api, namespace: str) -> None:
    clock = Clock()
    first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
    assert (first.attempt(), second.attempt()) == (True, False)
    with pytest.raises(errors.Conflict, match=r"b\) does not lead; a does"):
        second.token()


def test_the_lease_is_deleted_with_the_owner_of_its_last_holder(api: Api, namespace: str) -> None:
    def owned(name: str) -> list[Object]:
        body: Object = {"metadata": {"name": name}}
        made = api.create(CONFIG_MAPS, namespace, body)
        return [{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": made["metadata"]["uid"]}]

    clock = Clock()
    for name in ("old", "new"):
        owners = owned(name)
        lease = Lease(api, namespace, "plane", name, log=LOG, monotonic=clock, owners=lambda: owners)  # noqa: B023
        lease.attempt()  # sees the lease, and waits until it expires
        clock.now += 20
        assert lease.attempt()
    api.delete(CONFIG_MAPS, namespace, "new")
    wait_until(lambda: not api.list(LEASES, namespace)[0], "the lease is gone")


def test_a_leader_that_renews_stays_leader(api: Api, namespace: str) -> None:
    clock = Clock()
    first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
    for _ in range(10):
        assert (first.attempt(), second.attempt()) == (True, False)
        clock.now += 8
    assert first.token() == 1


def test_a_leader_that_cannot_renew_stops_before_another_may_start(api: Api, namespace: str) -> None:
    clock = Clock()
    first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
    assert (first.attempt(), second.attempt()) == (True, False)
    led = []
    for _ in range(20):
        clock.now += 1
        led.append((first.leads(), second.attempt()))
    assert (True, True) not in led
    assert led[0] == (True, False)
    assert led[-1] == (False, True)
    assert second.token() == 2


def test_a_released_lease_is_taken_at_once(api: Api, namespace: str) -> None:
    clock = Clock()
    first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
    first.attempt()
    first.stop()
    assert second.attempt()


def test_a_restart_under_the_same_name_is_another_transition(api: Api, namespace: str) -> None:
    clock = Clock()
    first = candidate(api, namespace, "a", clock)
    first.attempt()
    again = candidate(api, namespace, "a", clock)
    assert again.attempt()
    assert again.token() == first.token() + 1


def test_a_new_lease_begins_above_the_transitions_that_routes_have_seen(api: Api, namespace: str) -> None:
    lease = candidate(api, namespace, "a", Clock(), floor=41)
    assert lease.attempt()
    assert lease.token() == 42


def test_of_two_that_take_the_lease_at_the_same_time_one_leads(api: Api, namespace: str) -> None:
    clock = Clock()
    first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
    first.attempt()
    third = candidate(api, namespace, "c", clock)
    second.attempt(), third.attempt()
    clock.now += 60
    found = api.get(LEASES, namespace, "plane")
    second._take(api.replace(LEASES, namespace, "plane", second._renewed(found)), clock.now)
    with pytest.raises(errors.Conflict):
        api.replace(LEASES, namespace, "plane", third._renewed(found))
    assert (second.attempt(), third.attempt()) == (True, False)


def test_on_threads_another_leads_soon_after_the_first_stopped(api: Api, namespace: str) -> None:
    def quick(name: str) -> Lease:
        return Lease(api, namespace, "plane", name, log=LOG, duration_s=2.0, renew_within_s=1.5, retry_s=0.1)

    first, second = quick("a"), quick("b")
    first.start()
    wait_until(first.leads, "the first leads")
    second.start()
    first.stop()
    wait_until(second.leads, "the second leads")
    assert not first.leads()
    second.stop()


class TestTwoLeaders:
    """The first is frozen, still believes that it leads, and resumes after the second has taken over."""

    @pytest.fixture
    def stores(self, api: Api, namespace: str) -> tuple[KubernetesStore, KubernetesStore]:
        frozen, clock = Clock(), Clock()
        first, second = candidate(api, namespace, "a", frozen), candidate(api, namespace, "b", clock)
        old = KubernetesStore(api, namespace, fence=first, informed=False)
        new = KubernetesStore(api, namespace, fence=second, informed=False)
        first.attempt()
        routed(old, "iris").append(successor(None))
        second.attempt()
        clock.now += 60
        assert second.attempt()
        assert first.leads()  # by its own clock, which stands still
        return old, new

    def test_its_late_append_is_refused_even_before_the_new_one_wrote(
        self, api: Api, namespace: str, stores: tuple[KubernetesStore, KubernetesStore]
    ) -> None:
        old, new = stores
        late = successor(old.head("iris"))
        # The policy reads the lease from the API server's own cache, which follows within a moment.
        wait_until(lambda: _term_known(api, namespace, 2), "the API server knows the new leader")
        with pytest.raises(errors.Conflict, match="another control plane leads"):
            old.append(late)
        assert new.append(late).seq == 2

    def test_its_late_append_on_an_old_head_is_a_conflict(
        self, stores: tuple[KubernetesStore, KubernetesStore]
    ) -> None:
        old, new = stores
        late = successor(old.head("iris"), at=5)
        new.append(successor(new.head("iris")))
        with pytest.raises(errors.Conflict):
            old.append(late)
        assert [one.seq for one in new.revisions("iris")] == [1, 2]
        assert new.verify("iris") is None

    def test_its_late_status_window_and_answer_are_conflicts(
        self, stores: tuple[KubernetesStore, KubernetesStore]
    ) -> None:
        old, new = stores
        new.set_status("iris", {"phase": "Canary"})
        with pytest.raises(errors.Conflict, match="another control plane leads"):
            old.set_status("iris", {"phase": "Stable"})
        with pytest.raises(errors.Conflict, match="another control plane leads"):
            old.add_window("iris", a_window(1))
        assert new.status("iris") == {"phase": "Canary"}
        new.create_action(an_action())
        assert [action.name for action in new.actions()] == ["a1"]

    def test_windows_not_written_before_another_leader_are_dropped(self, api: Api, namespace: str) -> None:
        clock = Clock()
        first, second = candidate(api, namespace, "a", clock), candidate(api, namespace, "b", clock)
        one, other = (KubernetesStore(api, namespace, fence=lease, informed=False) for lease in (first, second))
        first.attempt()
        routed(one, "iris").add_window("iris", a_window(1), at_once=False)
        second.attempt()
        clock.now += 60
        assert second.attempt()
        assert one.windows("iris") == []
        other.add_window("iris", a_window(1))  # counted again by the new leader
        first.attempt()
        clock.now += 60
        assert first.attempt()
        one.set_status("iris", {"phase": "Canary"})
        assert one.windows("iris") == [a_window(1)]


def _term_known(api: Api, namespace: str, term: int) -> bool:
    """Whether the API server already refuses (in a dry run) a revision from the previous transition."""
    metadata = {"name": "probe-1", "annotations": {labels.FENCE: str(term - 1)}}
    spec = successor(None, route="probe").sealed().to_json()
    try:
        api.create(REVISIONS, namespace, {"metadata": metadata, "spec": spec}, dry_run=True)
    except errors.Refused:
        return True
    return False
