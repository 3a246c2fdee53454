"""The Lease of a further namespace: who leads there, and what other platforms left."""

from __future__ import annotations

import logging

import pytest

from fairlead import errors
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Kind
from fairlead.store.kubernetes.namespace_lease import NamespaceLease
from fairlead.store.kubernetes.session import Fence
from unit.store.builders import NOW
from unit.store.kubernetes.memory_api import MemoryApi

LEASES = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")
LOG = logging.getLogger("test.namespaces")


class Leading:
    """The platform's own Lease."""

    identity = "pod-0"

    def __init__(self) -> None:
        self.is_leader = True

    def leads(self) -> bool:
        return self.is_leader


def a_lease(api: MemoryApi, leader: Leading, *, floor: int = 0, now: float = 0.0) -> NamespaceLease:
    return NamespaceLease(
        api,
        "team-a",
        release="fairlead",
        platform="home",
        leader=leader,
        log=LOG,
        floor=lambda: floor,
        monotonic=lambda: now,
    )


def test_only_the_leader_of_the_platform_takes_the_lease_of_a_further_namespace() -> None:
    api, leader = MemoryApi(), Leading()
    lease = a_lease(api, leader, floor=7)
    leader.is_leader = False
    assert not lease.attempt()
    assert not api.objects
    leader.is_leader = True
    assert lease.attempt()
    [found] = api.list(LEASES, "team-a")[0]
    assert found["metadata"]["name"] == "fairlead-control-plane.home"
    assert found["metadata"]["labels"][labels.PLATFORM] == "home"
    assert lease.token() == 8  # above what routes there have seen


def test_a_replica_that_leads_no_more_may_write_nowhere() -> None:
    api, leader = MemoryApi(), Leading()
    lease: Fence = a_lease(api, leader)
    assert isinstance(lease, NamespaceLease)
    assert lease.attempt()
    leader.is_leader = False
    with pytest.raises(errors.Conflict, match="does not lead"):
        lease.token()


def test_the_next_leader_takes_the_lease_at_once_and_counts_on() -> None:
    api, first, second = MemoryApi(), Leading(), Leading()
    second.identity = "pod-1"
    before, after = a_lease(api, first), a_lease(api, second)
    assert before.attempt()
    first.is_leader = False
    assert after.attempt()
    assert (after.token(), api.list(LEASES, "team-a")[0][0]["spec"]["holderIdentity"]) == (2, "pod-1")


def test_a_namespace_with_a_platform_of_its_own_is_left_to_that_one() -> None:
    api = MemoryApi()
    other = {"spec": {"holderIdentity": "their-pod", "renewTime": NOW.isoformat()}}
    api.put(LEASES, "team-a", "fairlead-control-plane", other)
    with pytest.raises(errors.Refused, match="namespace team-a has a control plane of another platform: fairlead-con"):
        a_lease(api, Leading()).attempt()


def test_the_lease_that_an_uninstalled_platform_left_is_no_obstacle() -> None:
    api, now = MemoryApi(), [0.0]
    api.put(LEASES, "team-a", "fairlead-control-plane", {"spec": {"holderIdentity": "their-pod"}})
    lease = NamespaceLease(
        api,
        "team-a",
        release="fairlead",
        platform="home",
        leader=Leading(),
        log=LOG,
        floor=int,
        monotonic=lambda: now[0],
    )
    with pytest.raises(errors.Refused):
        lease.attempt()
    now[0] += 20
    assert lease.attempt()


def test_the_lease_goes_on_above_those_that_other_platforms_left_here() -> None:
    api, leader = MemoryApi(), Leading()
    api.put(LEASES, "team-a", "fairlead-control-plane", {"spec": {"holderIdentity": "", "leaseTransitions": 40}})
    lease = a_lease(api, leader, floor=7)
    assert lease.attempt()
    assert lease.token() == 41
