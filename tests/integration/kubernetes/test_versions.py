"""A version's objects in a cluster: read as instances, owned by the route, and removed when no longer needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.route import Target, VersionRef, VersionSpec
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, Kind, Object
from fairlead.store.kubernetes.versions import LATER, OWN_OBJECTS
from integration.kubernetes.versions import SERVICES, labelled, make_pod, make_slice, make_version, write_crashes
from support.processes import wait_until
from unit.store.builders import NOW, REF, a_spec, routed, successor

OTHER = VersionSpec(image="iris:2").ref("2.0.0")


@pytest.fixture
def store(api: Api, namespace: str) -> Iterator[KubernetesStore]:
    with KubernetesStore(api, namespace) as store:
        store.wait_until_loaded(10)
        yield store


def rows(store: KubernetesStore) -> list[VersionRef]:
    return [row.ref for row in store.wanted()]


def names(api: Api, namespace: str, kind: Kind) -> set[str]:
    return {
        one["metadata"]["name"] for one in api.list(kind, namespace)[0] if "deletionTimestamp" not in one["metadata"]
    }


def settled(store: KubernetesStore, *refs: VersionRef) -> None:
    wait_until(lambda: set(rows(store)) == set(refs), "the Deployments are known")


# Instances


def test_an_endpoint_is_an_instance_and_ready_when_its_slice_says_so(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    endpoints = {
        "10.0.0.1": {"ready": True},
        "10.0.0.2": {"ready": False},
        "10.0.0.3": {"ready": True, "terminating": True},
    }
    make_slice(api, namespace, REF, endpoints)
    wait_until(lambda: len(store.instances()) == 3, "the slice is known")
    stored = {instance.host: (instance.ready, instance.port, instance.ref) for instance in store.instances()}
    assert stored == {
        "10.0.0.1": (True, 8080, REF),
        "10.0.0.2": (False, 8080, REF),
        "10.0.0.3": (False, 8080, REF),
    }


def test_instances_cannot_be_reported(store: KubernetesStore) -> None:
    instance = Instance(id="i", model="iris", ref=REF, host="h", port=1, observed_at=NOW)
    with pytest.raises(errors.Refused, match="EndpointSlices"):
        store.report(instance)


ANOTHER = "https://models.example/iris.tar.gz has the SHA-256 1, not 2: it is not the archive that was released"
MISSING = "fairlead.yaml: artifact.path: there is no 'model.joblib' in /model"


@pytest.mark.parametrize(
    ("statuses", "container", "said"),
    [("initContainerStatuses", "unpack", ANOTHER), ("containerStatuses", "model", MISSING)],
)
def test_a_pod_without_the_right_artifact_says_so_and_has_failed_after_three_restarts(
    api: Api, namespace: str, store: KubernetesStore, statuses: str, container: str, said: str
) -> None:
    """It may still heal: the artifact may be restored before the next start."""
    make_pod(api, namespace, REF, statuses, container)
    who = "its container" if container == "model" else f"its container {container}"
    for restarts, has_failed in ((1, False), (3, True)):
        write_crashes(api, namespace, statuses, container, said, restarts)
        why = f"{who} exited with code 6: {said}; restarts: {restarts}"
        wait_until(lambda why=why: [one.reason for one in store.instances()] == [why], why)  # type: ignore[misc]
        [instance] = store.instances()
        assert (instance.failed_at is not None) is has_failed


# Versions


def test_all_objects_of_a_version_get_their_route_as_owner(api: Api, namespace: str, store: KubernetesStore) -> None:
    routed(store, "iris")
    make_version(api, namespace, REF)
    settled(store, REF)

    def tied() -> bool:
        # Kubernetes' own controllers may write at the same time; then the next call succeeds.
        store.want(store.wanted())
        found = [one["metadata"] for kind in (DEPLOYMENTS, SERVICES) for one in api.list(kind, namespace)[0]]
        owners = [owner["kind"] for metadata in found for owner in metadata.get("ownerReferences", ())]
        return owners == ["ModelRoute", "ModelRoute"]

    wait_until(tied, "the Deployment and the Service belong to the route")


def owners(api: Api, namespace: str, kind: Kind) -> list[str]:
    found = [one["metadata"] for one in api.list(kind, namespace)[0]]
    return [owner["kind"] for metadata in found for owner in metadata.get("ownerReferences", ())]


def test_an_object_that_helm_creates_after_the_route_gets_it_as_owner_too(api: Api, namespace: str) -> None:
    """A ScaledObject is such an object; without an owner an uninstall would leave it."""
    now = datetime.now(UTC)
    with KubernetesStore(api, namespace, clock=lambda: now) as store:
        store.wait_until_loaded(10)
        routed(store, "iris")
        make_version(api, namespace, REF, adopted=True)
        settled(store, REF)
        store.want(store.wanted())
        late = {"name": "late", "labels": labelled(REF)}
        api.create(SERVICES, namespace, {"metadata": late, "spec": {"clusterIP": "None", "ports": [{"port": 8080}]}})
        store.want(store.wanted())
        assert owners(api, namespace, SERVICES) == ["ModelRoute"]
        now += LATER

        def tied() -> bool:
            store.want(store.wanted())
            return owners(api, namespace, SERVICES) == ["ModelRoute", "ModelRoute"]

        wait_until(tied, "both Services belong to the route")


def test_while_an_object_of_a_version_is_written_by_others_its_deployment_has_no_owner(
    api: Api, namespace: str, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise nobody would look at the object again."""
    routed(store, "iris")
    make_version(api, namespace, REF)
    settled(store, REF)
    patch = Api.patch

    def written_by_others(self: Api, kind: Kind, within: str, name: str, body: Object, *, part: str = "") -> Object:
        current = self.get(kind, within, name)
        patch(self, kind, within, name, {"metadata": {"annotations": {"seen": current["metadata"]["resourceVersion"]}}})
        return patch(self, kind, within, name, body, part=part)

    monkeypatch.setattr(Api, "patch", written_by_others)
    store.want(store.wanted())
    monkeypatch.undo()
    assert owners(api, namespace, SERVICES) == owners(api, namespace, DEPLOYMENTS) == []


def test_the_objects_of_all_new_versions_are_listed_by_one_request_of_each_kind(
    api: Api, namespace: str, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An install brings hundreds of versions at once."""
    spec = a_spec(versions={"1.0.0": VersionSpec(), "2.0.0": VersionSpec(image="iris:2")})
    store.put_route("iris", spec, now=NOW, actor="ada")
    asked: list[str] = []
    list_objects = Api.list

    def listed(self: Api, kind: Kind, within: str, selector: str = "") -> tuple[list[Object], str]:
        if " in (" in selector:  # a watch may list too
            asked.append(kind.plural)
        return list_objects(self, kind, within, selector)

    for ref in (REF, OTHER):
        make_version(api, namespace, ref)
    settled(store, REF, OTHER)
    monkeypatch.setattr(Api, "list", listed)
    store.want(store.wanted())
    assert sorted(asked) == sorted(one.plural for one in OWN_OBJECTS)


def test_a_version_that_left_the_spec_and_has_no_traffic_is_removed_with_all_its_objects(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    routed(store, "iris").append(successor(None))
    for ref in (REF, OTHER):
        make_version(api, namespace, ref, adopted=True)
    settled(store, REF, OTHER)
    store.want([row for row in store.wanted() if row.ref == REF])
    settled(store, REF)
    mine = labels.version_name("iris", REF)
    wait_until(lambda: names(api, namespace, DEPLOYMENTS) == {mine}, "the Deployment is gone")
    wait_until(lambda: names(api, namespace, SERVICES) == {mine}, "the Service is gone")


def test_a_version_that_no_spec_names_yet_stays(api: Api, namespace: str, store: KubernetesStore) -> None:
    # Helm creates the Deployment first and writes the route last.
    routed(store, "iris").append(successor(None))
    make_version(api, namespace, OTHER)
    settled(store, OTHER)
    store.want([])
    assert rows(store) == [OTHER]
    assert "ownerReferences" not in api.get(DEPLOYMENTS, namespace, labels.version_name("iris", OTHER))["metadata"]


def test_a_version_that_no_spec_ever_named_is_removed_after_a_time(api: Api, namespace: str) -> None:
    late = datetime.now(UTC) + timedelta(hours=2)
    with KubernetesStore(api, namespace, clock=lambda: late) as store:
        store.wait_until_loaded(10)
        routed(store, "iris").append(successor(None))
        make_version(api, namespace, OTHER)
        settled(store, OTHER)

        def removed() -> bool:
            store.want([])
            return rows(store) == []

        wait_until(removed, "it was adopted, then removed")


@pytest.mark.parametrize("named_by", ["spec", "table"])
def test_a_version_that_is_named_is_never_removed(
    api: Api, namespace: str, store: KubernetesStore, named_by: str
) -> None:
    versions = {"2.0.0": VersionSpec(image="iris:2")} if named_by == "spec" else {}
    spec = a_spec(versions={"1.1.0": VersionSpec(), **versions}, target=Target(version="1.1.0"))
    store.put_route("iris", spec, now=NOW, actor="ada")
    serving = REF if named_by == "spec" else OTHER
    first = successor(None)
    table = first.table.model_copy(update={"stable": serving, "pins": (serving,)})
    store.append(first.model_copy(update={"table": table}))
    make_version(api, namespace, OTHER, adopted=True)
    settled(store, OTHER)
    store.want([])
    assert rows(store) == [OTHER]
    assert names(api, namespace, DEPLOYMENTS) == {labels.version_name("iris", OTHER)}


def test_nothing_is_removed_before_the_engine_has_seen_the_spec(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    routed(store, "iris").append(successor(None))
    make_version(api, namespace, OTHER, adopted=True)
    settled(store, OTHER)
    store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="ada")  # generation 2; the head was decided on 1
    store.want([])
    assert rows(store) == [OTHER]


def test_objects_of_a_deleted_route_are_left_to_garbage_collection(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    make_version(api, namespace, OTHER)
    settled(store, OTHER)
    store.want([])
    assert rows(store) == [OTHER]


def test_wanting_a_version_that_does_not_exist_creates_nothing(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    routed(store, "iris")
    store.want([Wanted(namespace=namespace, model="iris", ref=REF, index=0, source="deployment/iris")])
    assert store.wanted() == []
