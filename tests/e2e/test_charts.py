"""The charts on a real API server: validation, the objects that a release changes or keeps, and RBAC roles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.sample import FETCHED, IRIS, with_version
from support.cluster.installed import install_crds
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.helm import CHARTS, render

NAMESPACE = "charts"
KINDS = "deployments,services,poddisruptionbudgets,serviceaccounts,networkpolicies,modelroutes"

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def kube(control_plane: Cluster) -> Iterator[Client]:
    """A client for a namespace, in a cluster with the CRDs."""
    control_plane.client().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    client = control_plane.client(NAMESPACE)
    install_crds(client)
    yield client
    client("delete", "namespace", NAMESPACE, "--wait=false")


def written(values: dict[str, Any], folder: Path, name: str = "values.json") -> str:
    path = folder / name
    path.write_text(json.dumps(values))
    return str(path)


def objects(kube: Client) -> Objects:
    return {(one["kind"], one["metadata"]["name"]): one for one in kube.get(KINDS)["items"]}


def specs(found: Objects) -> dict[tuple[str, str], Any]:
    return {key: (one["metadata"]["uid"], one.get("spec")) for key, one in found.items()}


def test_the_api_server_accepts_all_rendered_objects(kube: Client) -> None:
    model = {**with_version("1.2.0", FETCHED), "workload": {"autoscaling": {"kind": "hpa"}}}
    platform = {
        "gateway": {
            "ingress": {"enabled": True, "hosts": ["models.example.com"], "tlsSecretName": "certificate"},
            "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
            "autoscaling": {"kind": "hpa"},
        },
        "roles": {"viewers": [{"kind": "Group", "name": "everybody"}]},
    }
    for rendered in (
        render("model", model, namespace=NAMESPACE),
        render("platform", platform, namespace=NAMESPACE),
    ):
        text = yaml.safe_dump_all(rendered.objects)
        kube("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)


def test_a_release_changes_only_the_route_and_helm_rollback_restores_it(kube: Client, tmp_path: Path) -> None:
    values = written(IRIS, tmp_path)
    kube.helm("install", "iris", str(CHARTS / "model"), "--values", values)
    before = objects(kube)
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", values, "--set", "target=1.1.0")
    after = objects(kube)
    key = ("ModelRoute", "iris")
    assert after[key]["spec"] == {**before[key]["spec"], "target": {"version": "1.1.0"}}
    assert {name for name in before if specs(before)[name] != specs(after)[name]} == {key}
    untouched = [name for name in before if name[0] in ("Deployment", "Service", "PodDisruptionBudget")]
    assert all(
        before[name]["metadata"].get("generation") == after[name]["metadata"].get("generation") for name in untouched
    )
    kube.helm("rollback", "iris")
    assert specs(objects(kube)) == specs(before)
    kube.helm("uninstall", "iris")
    _delete_kept_objects(kube)


def test_a_version_that_was_removed_from_the_values_keeps_its_deployment(kube: Client, tmp_path: Path) -> None:
    kube.helm("install", "iris", str(CHARTS / "model"), "--values", written(IRIS, tmp_path))
    before = {name for name in objects(kube) if name[0] == "Deployment"}
    assert len(before) == 2
    fewer = {**IRIS, "versions": {"1.0.0": IRIS["versions"]["1.0.0"]}}
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", written(fewer, tmp_path))
    assert {name for name in objects(kube) if name[0] == "Deployment"} == before
    # Helm can manage the objects again when the version comes back.
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", written(IRIS, tmp_path))
    kube.helm("uninstall", "iris")
    left = objects(kube)
    assert {name for name in left if name[0] == "Deployment"} == before
    assert ("ModelRoute", "iris") not in left
    _delete_kept_objects(kube)


def test_an_edited_digest_creates_new_objects_and_keeps_the_old_ones(kube: Client, tmp_path: Path) -> None:
    kube.helm("install", "iris", str(CHARTS / "model"), "--values", written(IRIS, tmp_path))
    before = specs(objects(kube))
    edited = {**IRIS, "versions": {**IRIS["versions"], "1.0.0": {"image": {"digest": "sha256:" + "9" * 64}}}}
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", written(edited, tmp_path))
    after = specs(objects(kube))
    assert {name for name in before if before[name] != after[name]} == {("ModelRoute", "iris")}
    assert sum(name[0] == "Deployment" for name in after) == 3
    kube.helm("uninstall", "iris")
    _delete_kept_objects(kube)


def test_turning_on_an_autoscaler_keeps_the_number_of_replicas(kube: Client, tmp_path: Path) -> None:
    kube.helm("install", "iris", str(CHARTS / "model"), "--values", written(IRIS, tmp_path))
    deployments = [name for kind, name in objects(kube) if kind == "Deployment"]
    for name in deployments:
        kube("scale", "deployment", name, "--replicas=3")
    scaled = {**IRIS, "workload": {"autoscaling": {"kind": "external"}}}
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", written(scaled, tmp_path))
    assert [kube.get("deployment", name)["spec"]["replicas"] for name in deployments] == [3, 3]
    kube.helm("upgrade", "iris", str(CHARTS / "model"), "--values", written(scaled, tmp_path), "--set", "target=1.1.0")
    assert [kube.get("deployment", name)["spec"]["replicas"] for name in deployments] == [3, 3]
    kube.helm("uninstall", "iris")
    _delete_kept_objects(kube)


def _delete_kept_objects(kube: Client) -> None:
    kube("delete", "deployments,services,poddisruptionbudgets", "--selector", "fairlead.dev/model=iris")


# roles


@pytest.fixture(scope="module")
def people(kube: Client, control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A platform with one group per role, a route, and a function that returns the client of a user in a group."""
    folder = tmp_path_factory.mktemp("values")
    roles = {
        name: [{"kind": "Group", "name": group}]
        for name, group in (("viewers", "viewers"), ("releasers", "releasers"), ("onCall", "on-call"))
    }
    kube.helm("install", "fairlead", str(CHARTS / "platform"), "--values", written({"roles": roles}, folder))
    kube.helm("install", "iris", str(CHARTS / "model"), "--values", written(IRIS, folder))
    yield lambda group: control_plane.client_of(f"{group}-person", [group], NAMESPACE)
    kube.helm("uninstall", "iris")
    kube.helm("uninstall", "fairlead")
    _delete_kept_objects(kube)


ACTIONS = ("rollback", "retry", "approve", "pause", "resume")
ALLOWED = {"viewers": (), "releasers": ("rollback", "retry", "pause", "resume"), "on-call": ACTIONS}


def action(kind: str, actor: str) -> str:
    spec = {"route": "iris", "type": kind, "actor": actor, "reason": "a test"}
    document = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "ModelRouteAction",
        "metadata": {"generateName": f"{kind}-", "namespace": NAMESPACE},
        "spec": spec,
    }
    return yaml.safe_dump(document)


@pytest.mark.parametrize("group", ALLOWED)
@pytest.mark.parametrize("kind", ACTIONS)
def test_only_users_whose_role_allows_an_action_can_create_it(people: Any, group: str, kind: str) -> None:
    person: Client = people(group)
    if kind in ALLOWED[group]:
        assert "created" in person("create", "-f", "-", stdin=action(kind, f"{group}-person"))
    else:
        with pytest.raises(CommandFailed, match="[Ff]orbidden|may not"):
            person("create", "-f", "-", stdin=action(kind, f"{group}-person"))


def test_the_actor_of_an_action_must_be_the_user_who_creates_it(people: Any) -> None:
    with pytest.raises(CommandFailed, match="actor must be who asks"):
        people("on-call")("create", "-f", "-", stdin=action("pause", "somebody-else"))


@pytest.mark.parametrize(("group", "may"), [("viewers", False), ("releasers", True), ("on-call", False)])
def test_only_releasers_can_change_routes(people: Any, group: str, may: bool) -> None:
    person: Client = people(group)
    assert "iris" in person("get", "modelroutes")
    patch = json.dumps({"spec": {"target": {"version": "1.1.0"}}})
    if may:
        person("patch", "modelroute", "iris", "--type=merge", "--patch", patch)
    else:
        with pytest.raises(CommandFailed, match="cannot patch resource"):
            person("patch", "modelroute", "iris", "--type=merge", "--patch", patch)


def test_a_releaser_can_neither_take_gates_away_nor_begin_a_route_anew(people: Any) -> None:
    releaser: Client = people("releasers")
    patch = json.dumps({"spec": {"strategy": {"steps": []}}})
    with pytest.raises(CommandFailed, match="may not change the strategy of modelroute iris"):
        releaser("patch", "modelroute", "iris", "--type=merge", "--patch", patch)
    with pytest.raises(CommandFailed, match="cannot delete resource"):
        releaser("delete", "modelroute", "iris")


@pytest.mark.usefixtures("people")
def test_the_account_that_the_chart_creates_is_the_one_that_the_policies_restrict(kube: Client) -> None:
    account = f"--as=system:serviceaccount:{NAMESPACE}:fairlead-control-plane"
    version = kube("get", "deployments", "--selector", "fairlead.dev/model=iris", "--output", "name").split()[0]
    pods = {"containers": [{"name": "model", "image": "evil"}]}
    patch = json.dumps({"spec": {"template": {"spec": pods}}})
    with pytest.raises(CommandFailed, match="may change nothing but the owners"):
        kube("patch", version, "--type=strategic", "--patch", patch, account)
    with pytest.raises(CommandFailed, match="may touch only objects of a version"):
        kube("delete", "deployment", "fairlead-gateway", account, "--dry-run=server")
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "fairlead-control-plane"}}
    lease["metadata"]["labels"] = {"fairlead.dev/lease": "leader"}  # type: ignore[index]
    kube("create", "-f", "-", account, "--dry-run=server", stdin=yaml.safe_dump(lease))
    with pytest.raises(
        CommandFailed, match=r"only the control plane, ServiceAccount \S+:fairlead-control-plane, decides"
    ):
        kube("create", "-f", "-", "--dry-run=server", stdin=yaml.safe_dump(lease))


def test_the_control_plane_has_only_the_rights_that_it_needs(people: Any, kube: Client) -> None:
    account = f"--as=system:serviceaccount:{NAMESPACE}:fairlead-control-plane"

    def may(*words: str) -> bool:
        try:
            return kube("auth", "can-i", *words, account).strip() == "yes"
        except CommandFailed:
            return False

    assert may("patch", "modelroutes.fairlead.dev", "--subresource=status")
    assert may("create", "modelrouterevisions.fairlead.dev")
    assert may("get", "pods", "--subresource=log")
    assert may("update", "leases.coordination.k8s.io/fairlead-control-plane")
    assert may("delete", "deployments.apps")
    assert may("create", "tokenreviews.authentication.k8s.io")
    for words in (
        ("patch", "modelroutes.fairlead.dev"),
        ("update", "modelrouterevisions.fairlead.dev"),
        ("get", "secrets"),
        ("create", "pods"),
        ("create", "deployments.apps"),
        ("update", "leases.coordination.k8s.io/another"),
        ("list", "modelroutes.fairlead.dev", "--namespace=default"),
        ("create", "subjectaccessreviews.authorization.k8s.io"),
    ):
        assert not may(*words), words


@pytest.mark.usefixtures("kube")
def test_the_platform_can_be_installed_with_rights_in_its_namespace_only(control_plane: Cluster) -> None:
    admin = control_plane.client()
    name = "tenant"
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    subjects = [{"kind": "User", "name": "tenant-admin", "apiGroup": "rbac.authorization.k8s.io"}]
    everything = {"apiGroups": ["fairlead.dev"], "resources": ["*"], "verbs": ["*"]}
    control_plane.client(name).apply(
        {
            **binding,
            "metadata": {"name": "admin", "namespace": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": subjects,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "fairlead", "namespace": name},
            "rules": [everything],
        },
        {
            **binding,
            "metadata": {"name": "fairlead", "namespace": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "fairlead"},
            "subjects": subjects,
        },
    )
    tenant = control_plane.client_of("tenant-admin", namespace=name)
    with pytest.raises(CommandFailed, match="clusterroles"):
        tenant.helm("install", "fairlead", str(CHARTS / "platform"))
    without = ["controlPlane.checkGatewayTokens=false", "rbac.scaledObjects=false"]
    tenant.helm("install", "fairlead", str(CHARTS / "platform"), "--set", ",".join(without))
    assert "fairlead-gateway" in tenant("get", "deployments")
    tenant.helm("uninstall", "fairlead")
    admin("delete", "namespace", name, "--wait=false")
