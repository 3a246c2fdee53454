"""Who may do what, on a real API server with the chart's roles and policies: each request once as each user."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.route import Target, VersionSpec
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.api import MERGE, Api
from fairlead.store.kubernetes.kinds import ACTIONS, REVISIONS, ROUTES, Kind
from fairlead.store.kubernetes.ledger import owned_by
from fairlead.store.kubernetes.namespaces import KubernetesNamespaces
from integration.kubernetes.rights_requests import (
    A_ROUTE,
    EVERYBODY_WITH_A_ROLE,
    RELEASE,
    SPEC,
    STRATEGY,
    a_deployment,
    named,
    requests,
    spec,
    typed,
)
from integration.kubernetes.versions import SERVICES
from support.cluster.lifecycle import Cluster
from support.processes import wait_until
from unit.store.builders import NOW

ROLES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[3] / "charts/platform/files/roles.yaml").read_text()
)
SCALED_OBJECTS = Path(__file__).parents[2] / "charts" / "keda_scaledobjects.yaml"
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Rights:
    """One namespace with a route, a version, somebody else's Deployment, and users with one role each."""

    cluster: Cluster
    admin: Api
    namespace: str
    _apis: dict[str, Api] = field(default_factory=dict)

    def path(self, group: str, plural: str, name: str = "", part: str = "") -> str:
        start = "/api/v1" if not group else f"/apis/{group}"
        return "/".join(filter(None, (f"{start}/namespaces/{self.namespace}/{plural}", name, part)))

    def name_of(self, who: str) -> str:
        account = {"control plane": f"{RELEASE}-control-plane", "gateway": "default"}.get(who)
        return f"system:serviceaccount:{self.namespace}:{account}" if account else who

    def api(self, who: str) -> Api:
        if who not in self._apis:
            name = self.name_of(who)
            groups = [f"system:serviceaccounts:{self.namespace}"] if name != who else []
            client = self.cluster.client_of(name, groups)
            self._apis[who] = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
        return self._apis[who]

    def grant(self, who: str, rules: list[dict[str, Any]]) -> None:
        name = who.replace(" ", "-")
        subject = {"apiGroup": RBAC, "kind": "User", "name": self.name_of(who)}
        reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
        roles, bindings = (self.path(f"{RBAC}/v1", one) for one in ("roles", "rolebindings"))
        self.admin.request("POST", roles, body={"metadata": {"name": name}, "rules": rules})
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        self.admin.request("POST", bindings, body=binding)

    def try_out(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        """Nothing if the request is allowed, else why not. It is a dry run: nothing is stored."""
        query = {} if method == "GET" else {"dryRun": "All"}
        content = MERGE if method == "PATCH" else "application/json"
        body = typed(path, body) if method == "POST" and body is not None else body
        try:
            self.api(who).request(method, path, query=query, body=body, content=content)
        except errors.Refused as refused:
            return refused.message
        except errors.NotFound:
            return ""  # who may not see it is refused instead
        return ""


@pytest.fixture(scope="module")
def rights(prepared: Cluster, api: Api) -> Iterator[Rights]:
    api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": "rights"}})
    found = Rights(prepared, api, "rights")
    wait_until(lambda: all(_is_served(api, kind) for kind in (ROUTES, REVISIONS, ACTIONS)), "the definitions")
    ours = {labels.PART_OF: "fairlead", labels.COMPONENT: "control-plane", labels.INSTANCE: RELEASE}
    account = {"metadata": {"name": f"{RELEASE}-control-plane", "labels": ours}}
    api.request("POST", found.path("", "serviceaccounts"), body=account)
    api.create(ROUTES, "rights", {"metadata": {"name": "iris"}, "spec": SPEC})
    version = {labels.ROUTE: "iris", labels.IDENTITY: "0123456789"}
    managed = {**version, labels.SCALED_BY: labels.SCALED_BY_CONTROL_PLANE}
    for name, labelled in (("iris-0123456789", version), ("iris-managed", managed), ("shop", {})):
        api.request("POST", found.path("apps/v1", "deployments"), body=a_deployment(name, labelled))
    for who, role in (("viewer", "viewer"), ("releaser", "releaser"), ("on-call", "onCall")):
        found.grant(who, ROLES[role])
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    own = [{**lease, "resourceNames": [f"{RELEASE}-control-plane"], "verbs": ["get", "update", "patch"]}]
    found.grant("control plane", ROLES["controlPlane"] + ROLES["ownNamespace"] + ROLES["scaledObjects"] + own)
    found.grant("lease writer", [{**lease, "verbs": ["create", "update", "patch"]}])
    routes = found.path(labels.API_VERSION, "modelroutes")
    wait_until(lambda: not found.try_out("on-call", "GET", routes), "the roles are at work")
    leases = found.path("coordination.k8s.io/v1", "leases")
    foreign = {"metadata": {"name": "x", "labels": {labels.LEASE: "leader"}}}
    wait_until(lambda: "decides who leads" in found.try_out("lease writer", "POST", leases, foreign), "the policies")
    yield found
    for one in found._apis.values():
        one.close()
    api.request("DELETE", "/api/v1/namespaces/rights")


@pytest.fixture(scope="module")
def scaled_objects(rights: Rights) -> Iterator[None]:
    """KEDA's kind ScaledObject, in a cluster without KEDA."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = yaml.safe_load(SCALED_OBJECTS.read_text())
    rights.admin.request("POST", definitions, body=definition)
    kind = Kind("/apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject")
    wait_until(lambda: _is_served(rights.admin, kind), "the definition")
    yield
    rights.admin.request("DELETE", f"{definitions}/{definition['metadata']['name']}")


def _is_served(api: Api, kind: Kind) -> bool:
    try:
        api.list(kind, "rights")
    except (errors.Unavailable, errors.NotFound):
        return False
    return True


MAY = {
    "see routes": EVERYBODY_WITH_A_ROLE,
    "see revisions": EVERYBODY_WITH_A_ROLE,
    "see Leases": {"viewer", "releaser", "on-call", "control plane"},
    "release": {"releaser"},
    "release in its own name": {"releaser"},
    "create a route": {"releaser"},
    "write a status": {"control plane"},
    "append a revision": {"control plane"},
    "rollback": {"releaser", "on-call"},
    "retry": {"releaser", "on-call"},
    "pause": {"releaser", "on-call"},
    "resume": {"releaser", "on-call"},
    "approve": {"on-call"},
    "promote": {"on-call"},
    "own a version": {"control plane"},
    "scale a managed version": {"control plane"},
    "delete a version": {"control plane"},
    "create the Lease": {"control plane"},
    "create another Lease": {"lease writer"},
    "create the publication": {"control plane"},
}
"""Who may do what. Nobody here may do anything that is not named."""
WHO = ("viewer", "releaser", "on-call", "control plane", "lease writer", "gateway", "nobody")


@pytest.mark.parametrize("who", WHO)
def test_who_may_do_what(rights: Rights, who: str) -> None:
    asked = requests(who, rights.path)
    assert MAY.keys() <= asked.keys()
    why = {what: rights.try_out(who, *request) for what, request in asked.items()}
    allowed = {what for what, refused in why.items() if not refused}
    assert allowed == {what for what, users in MAY.items() if who in users}, why


@pytest.mark.parametrize(
    ("who", "what", "because"),
    [
        ("releaser", "take away the approval", "releaser may not change the strategy of modelroute iris"),
        ("releaser", "release in another's name", 'leave it out, or write "2 releaser"'),
        ("releaser", "give the route another model", "a Role must grant the verb delete"),
        ("control plane", "mount a Secret as variables", "may change nothing but the owners"),
        ("control plane", "scale a version", "may change nothing but the owners of an object, and how many pods"),
        ("control plane", "delete another Deployment", "may touch only objects of a version"),
        ("control plane", "give a version another owner", "may only add a ModelRoute to the owners"),
        ("control plane", "create another ConfigMap", "may create only configmaps fairlead-publication"),
        ("lease writer", "create another Lease that fences", ":fairlead-control-plane, decides who leads: "),
    ],
)
def test_a_refusal_says_what_is_missing(rights: Rights, who: str, what: str, because: str) -> None:
    assert because in rights.try_out(who, *requests(who, rights.path)[what])


@pytest.fixture
def store(rights: Rights) -> Iterator[KubernetesStore]:
    """A control plane's store of the namespace. Afterwards the route is as before."""
    with KubernetesStore(rights.admin, rights.namespace) as store:
        store.wait_until_loaded(10)
        yield store
    rights.admin.patch(ROUTES, rights.namespace, "iris", {"spec": SPEC})


def test_a_releasers_command_releases_and_leaves_the_strategy_as_it_is_written(
    rights: Rights, store: KubernetesStore
) -> None:
    """The file says `30s` and `1m`; a strategy with defaults left out would be another one for the API server."""
    commands = KubernetesStore.direct(rights.api("releaser"), rights.namespace)
    known = commands.route("iris")
    target = Target(version="1.1.0")
    commands.put_route("iris", known.spec.model_copy(update={"target": target}), now=NOW, actor="releaser", reason="r")
    wait_until(lambda: store.route("iris").spec.target == target, "the control plane has seen it")
    route = store.route("iris")
    assert (route.actor, route.actor_verified, route.reason) == ("releaser", True, "r")
    assert rights.admin.get(ROUTES, rights.namespace, "iris")["spec"]["strategy"] == STRATEGY


def test_a_change_by_another_client_has_the_name_of_the_client_which_nobody_vouches_for(
    rights: Rights, store: KubernetesStore
) -> None:
    query = {"fieldManager": "kubectl-edit"}
    path = rights.path(*A_ROUTE)
    rights.api("releaser").request("PATCH", path, query=query, body=spec(idempotent=False), content=MERGE)
    wait_until(lambda: not store.route("iris").spec.idempotent, "the control plane has seen it")
    assert (store.route("iris").actor, store.route("iris").actor_verified) == ("kubectl-edit", False)


@pytest.mark.usefixtures("scaled_objects")
def test_the_control_plane_can_still_become_the_owner_of_a_versions_objects(rights: Rights) -> None:
    ref = VersionSpec(image="models/iris:1").ref("1.0.0")
    names = {labels.ROUTE: "iris", labels.MODEL: "iris", labels.VERSION: ref.version, labels.IDENTITY: ref.identity}
    name = f"iris-{ref.identity}"
    scaled = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "maxReplicas": 2}
    by_keda = {"scaleTargetRef": {"name": name}, "triggers": [{"type": "cron", "metadata": {"desiredReplicas": "2"}}]}
    objects: dict[tuple[str, str], dict[str, Any]] = {
        ("apps/v1", "deployments"): a_deployment(name, names),
        ("", "services"): {**named(name, labels=names), "spec": {"clusterIP": "None", "selector": {"app": name}}},
        ("policy/v1", "poddisruptionbudgets"): {**named(name, labels=names), "spec": {"maxUnavailable": 1}},
        ("autoscaling/v2", "horizontalpodautoscalers"): {**named(name, labels=names), "spec": scaled},
        ("keda.sh/v1alpha1", "scaledobjects"): {
            **named(name, labels=names),
            **{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": by_keda},
        },
    }
    for of, body in objects.items():
        rights.admin.request("POST", rights.path(*of), body=body)
    with KubernetesStore(rights.api("control plane"), rights.namespace) as store:
        store.wait_until_loaded(10)
        store.want([])
    for of in objects:
        (owner,) = rights.admin.request("GET", rights.path(*of, name))["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("ModelRoute", "iris")


Stays = Callable[..., bool]
Scaled = Callable[..., Stays]


@pytest.fixture
def scaled(rights: Rights, scaled_objects: None) -> Iterator[Scaled]:
    """Creates a ScaledObject of a version, and returns what asks whether a control plane of a later time leaves it."""
    ref, created = VersionSpec(image="models/left:1").ref("1.0.0"), []
    path = rights.path("keda.sh/v1alpha1", "scaledobjects")
    by_keda = {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "cron", "metadata": {"desiredReplicas": "2"}}]}

    def create(model: str, **metadata: Any) -> Stays:
        names = {labels.ROUTE: model, labels.MODEL: model, labels.VERSION: ref.version, labels.IDENTITY: ref.identity}
        name = labels.version_name(model, ref)
        body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": by_keda}
        rights.admin.request("POST", path, body={**body, "metadata": {"name": name, "labels": names, **metadata}})
        created.append(name)

        def stays(after: timedelta, *, of_several: bool = False) -> bool:
            late = datetime.now(UTC) + after
            with KubernetesStore(rights.api("control plane"), rights.namespace, clock=lambda: late) as store:
                store.wait_until_loaded(10)
                (KubernetesNamespaces([store], log=logging.getLogger()) if of_several else store).want([])
            return name in {one["metadata"]["name"] for one in rights.admin.request("GET", path)["items"]}

        return stays

    yield create
    for name in created:
        with suppress(errors.NotFound):
            rights.admin.request("DELETE", f"{path}/{name}")


def test_the_control_plane_deletes_a_scaled_object_that_an_uninstall_left_an_hour_ago(scaled: Scaled) -> None:
    stays = scaled("left")
    assert stays(timedelta(minutes=55))
    assert not stays(timedelta(minutes=65))


def test_one_in_a_namespace_without_models_is_deleted_too(scaled: Scaled) -> None:
    assert not scaled("left")(timedelta(hours=2), of_several=True)


@pytest.mark.parametrize("has", ["route", "Deployment", "owner"])
def test_a_scaled_object_that_still_has_something_stays(rights: Rights, scaled: Scaled, has: str) -> None:
    model = "iris" if has == "route" else f"left-{has.lower()}"
    route = rights.admin.get(ROUTES, rights.namespace, "iris")
    stays = scaled(model, ownerReferences=[owned_by(route)] if has == "owner" else [])
    if has == "Deployment":
        ref = VersionSpec(image="models/left:1").ref("1.0.0")
        body = a_deployment(labels.version_name(model, ref), {})
        rights.admin.request("POST", rights.path("apps/v1", "deployments"), body=body)
    assert stays(timedelta(hours=2))


def test_an_object_that_was_changed_since_it_was_seen_is_not_deleted(rights: Rights) -> None:
    """Helm may be installing again what it left."""
    body = {**named("seen"), "spec": {"ports": [{"port": 1}]}}
    made = rights.admin.create(SERVICES, rights.namespace, body)
    rights.admin.patch(SERVICES, rights.namespace, "seen", {"metadata": {"annotations": {"by": "helm"}}})
    with pytest.raises(errors.Conflict):
        rights.admin.delete(SERVICES, rights.namespace, "seen", seen=made)
    rights.admin.delete(SERVICES, rights.namespace, "seen", seen=rights.admin.get(SERVICES, rights.namespace, "seen"))


def test_who_may_also_promote_may_change_the_strategy(rights: Rights) -> None:
    rules = [*ROLES["releaser"], *ROLES["onCall"]]
    rights.grant("owner", rules)
    wait_until(lambda: not rights.try_out("owner", "GET", rights.path(*A_ROUTE[:2])), "the role is at work")
    assert rights.try_out("owner", *requests("owner", rights.path)["take away the approval"]) == ""
    assert "delete" in rights.try_out("owner", *requests("owner", rights.path)["give the route another model"])
