"""What the landed control plane stored, under the kinds that it had, is read and continued after an upgrade.

tests/support/landed_rollout.py made the objects: a rollout in its middle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fairlead.contracts.action import Outcome
from fairlead.contracts.revision import Phase
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS, REVISIONS, ROUTES, Object
from integration.kubernetes.engine_harness import EngineHarness
from support import landed
from support.cluster import lifecycle, programs
from support.cluster.installed import CHARTS
from support.landed_rollout import MODEL, NAMESPACE, approve, start
from support.missing import skip_or_fail

KINDS = {kind.kind: kind for kind in (ROUTES, REVISIONS, ACTIONS)}
STORED: list[Object] = json.loads(landed.OBJECTS.read_text())


@pytest.fixture(scope="module")
def upgraded() -> Iterator[Api]:
    """An API server with the landed kinds, in which the objects were created before the kinds were upgraded."""
    if reason := programs.not_built("control_plane"):
        raise skip_or_fail(reason)
    with lifecycle.temporary("control_plane") as cluster:
        kube = cluster.client()
        kube.helm("install", "fairlead-crds", str(landed.chart("crds")), "--wait")
        api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
        api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
        for one in STORED:
            create(api, one)
        kube.helm("upgrade", "fairlead-crds", str(CHARTS / "crds"), "--wait")
        yield api
        api.close()


def create(api: Api, one: Object) -> None:
    """Create an object as it was, with its status. A route's spec is written twice, so it has its generation again."""
    kind, name, spec = KINDS[one["kind"]], one["metadata"]["name"], one["spec"]
    first = {**spec, "target": {"version": one["status"]["stable"]["version"]}} if kind is ROUTES else spec
    api.create(kind, NAMESPACE, {"metadata": one["metadata"], "spec": first})
    if kind is ROUTES:
        api.patch(kind, NAMESPACE, name, {"spec": spec})
    if "status" in one:
        api.patch(kind, NAMESPACE, name, {"status": one["status"]}, part="status")


@pytest.fixture(scope="module")
def harness(upgraded: Api) -> Iterator[EngineHarness]:
    """This tree's engine, for which both versions are ready."""
    harness = start(upgraded)
    yield harness
    harness.store.close()


def test_the_stored_rollout_is_in_its_middle() -> None:
    """What the other tests start from: objects without a candidate would show little."""
    [route] = [one for one in STORED if one["kind"] == ROUTES.kind]
    assert (route["status"]["phase"], route["status"]["weight"]) == ("Canary", 5000)
    assert {one["kind"] for one in STORED} == set(KINDS)


def test_every_revision_is_read_and_the_chain_holds(harness: EngineHarness) -> None:
    stored = sorted(one["spec"]["seq"] for one in STORED if one["kind"] == REVISIONS.kind)
    assert sorted(one.seq for one in harness.store.revisions(MODEL)) == stored
    assert harness.store.verify(MODEL) is None


def test_a_stored_action_keeps_its_outcome(harness: EngineHarness) -> None:
    [action] = [one for one in STORED if one["kind"] == ACTIONS.kind]
    assert harness.store.action(action["metadata"]["name"]).outcome is Outcome.ACCEPTED


def test_the_rollout_waits_where_it_was_and_goes_on_when_it_is_approved(harness: EngineHarness) -> None:
    before = harness.store.head(MODEL)
    assert before is not None
    harness.go_on(30)
    assert harness.store.head(MODEL) == before
    approve(harness, "third-step")
    after = harness.store.head(MODEL)
    assert after is not None
    assert (after.table.weight, after.state.phase) == (9000, Phase.CANARY)
    assert harness.store.revision(MODEL, before.seq + 1).parent == before.hash
    assert harness.store.verify(MODEL) is None
