"""`fairlead doctor` on a real API server with real controllers: what it says of a healthy platform, and of faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fairlead.cli.doctor import installation, platform
from fairlead.cli.doctor.cluster import CHECKS
from fairlead.cli.doctor.finding import Finding, Level, examine
from fairlead.cli.doctor.seen import Seen
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from integration.kubernetes.doctor_faults import FAULTS, an_ingress
from integration.kubernetes.doctor_world import (
    NAMESPACE,
    RBAC,
    World,
    a_world,
)
from support.cluster.lifecycle import Cluster
from support.processes import ProcessFailed, wait_until


@pytest.fixture(scope="module")
def world(prepared: Cluster) -> Iterator[World]:
    with a_world(prepared) as found:
        yield found


@pytest.fixture
def healthy(world: World) -> World:
    wait_until(lambda: not world.wrong(), "nothing is wrong", within=60, every=0.5)
    return world


def test_nothing_is_invented_on_a_healthy_platform(healthy: World) -> None:
    found = healthy.findings()
    assert {one.level for one in found} == {Level.OK}
    assert len(found) == len(CHECKS)


def test_nothing_is_invented_about_a_certificate_that_is_right(healthy: World) -> None:
    with an_ingress(healthy):
        found = healthy.findings()
    assert {one.level for one in found} == {Level.OK}


VIEW = {"kind": "ClusterRole", "name": "view"}, {"kind": "Role", "name": "fairlead-viewer"}
READERS_DO_NOT_KNOW = {
    "the admission policies are there and bound",
    "the control plane may do what it must in the namespace",
    "the control plane may check the tokens of gateways",
    "KEDA scales what it should scale",
    "network policies are enforced by a known plugin",
}


def test_a_reader_of_the_namespace_is_told_what_was_not_checked_and_nothing_wrong(
    prepared: Cluster, healthy: World
) -> None:
    client = prepared.client_of("doctor-reader")
    subject = {"kind": "User", "name": "doctor-reader", "apiGroup": RBAC}
    for role in VIEW:
        metadata = {"name": role["name"], "namespace": NAMESPACE}
        reference = {**role, "apiGroup": RBAC}
        kind = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding"}
        healthy.kube.apply({**kind, "metadata": metadata, "roleRef": reference, "subjects": [subject]})
    theirs = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
    found: list[Finding] = []

    def is_in_force() -> bool:
        found[:] = examine(Seen(theirs, NAMESPACE), CHECKS)
        return {one.check for one in found if one.level is not Level.OK} == READERS_DO_NOT_KNOW

    with suppress(ProcessFailed):
        wait_until(is_in_force, "the roles are in force", within=20, every=0.3)
    assert {one.check for one in found if one.level is not Level.OK} == READERS_DO_NOT_KNOW
    assert {one.level for one in found} == {Level.OK, Level.NOT_CHECKED}
    assert all("needs the right to" in one.what for one in found if one.level is Level.NOT_CHECKED)
    theirs.close()


def test_a_stranger_is_told_of_no_check_of_the_namespace_that_it_is_ok(prepared: Cluster, healthy: World) -> None:
    client = prepared.client_of("doctor-stranger")
    theirs = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
    ok = {one.check for one in examine(Seen(theirs, NAMESPACE), CHECKS) if one.level is Level.OK}
    public = (*installation.CHECKS[:2], *(one for one in platform.CHECKS if one.title.startswith("the clock of this")))
    assert ok == {one.title for one in public}
    theirs.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_exactly_its_line(healthy: World, fault: str) -> None:
    plant, line = FAULTS[fault]
    seen: list[str] = []

    def is_told() -> bool:
        seen[:] = healthy.wrong()
        return len(seen) == 1 and re.fullmatch(line, seen[0]) is not None

    with plant(healthy):
        try:
            wait_until(is_told, fault, within=30, every=0.3)
        except ProcessFailed as failed:
            raise AssertionError(f"{failed}; it said {seen}") from None
