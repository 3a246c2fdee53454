"""One platform for several namespaces on a real API server, with the rights that its chart grants and no others."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Check, Verdict
from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.control.displaced import TellingEngine
from fairlead.rollout.ports import GatewayState
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, LEASES, ROUTES
from fairlead.store.kubernetes.lease import Lease
from fairlead.store.kubernetes.namespace_lease import NamespaceLease
from fairlead.store.kubernetes.namespaces import KubernetesNamespaces
from integration.kubernetes.engine_harness import EngineHarness
from integration.kubernetes.versions import make_slice, make_version
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster
from support.helm import CHARTS, render
from support.processes import wait_until

LOG = logging.getLogger("test.namespaces")
ONE, TWO = (VersionSpec(image=f"registry/model@sha256:{number}") for number in (1, 2))
OLD, NEW = ONE.ref("1.0.0"), TWO.ref("1.1.0")
RELEASE = "fairlead"


@dataclass(frozen=True)
class Names:
    """The namespaces of this test: the platform's own, two that it serves, one that it does not, and one to come."""

    home: str
    a: str
    b: str
    unlisted: str
    absent: str


class Platform(EngineHarness):
    """The engine of a platform, as its account, over the namespaces that its chart lists."""

    def __init__(self, api: Api, names: Names, identity: str = "pod-0") -> None:
        self.names, self.identity = names, identity
        super().__init__(api, names.home)
        self.telling = TellingEngine(self.engine, self.namespaces)

    def _store(self) -> KubernetesNamespaces:  # type: ignore[override]
        api, names = self._where[0], self.names
        self.lease = Lease(api, names.home, f"{RELEASE}-control-plane", self.identity, log=LOG)
        self.leases: dict[str, NamespaceLease] = {}
        stores = [KubernetesStore(api, names.home, fence=self.lease, clock=lambda: self.now)]
        for name in (names.a, names.b, names.absent):
            store, self.leases[name] = self._further(name)
            stores.append(store)
        self.namespaces = KubernetesNamespaces(stores, log=LOG)
        self.namespaces.start()
        wait_until(lambda: self.namespaces.loaded, "all namespaces were listed, or refused")
        self.lead()
        return self.namespaces

    def _further(self, name: str) -> tuple[KubernetesStore, NamespaceLease]:
        lease = NamespaceLease(
            self._where[0],
            name,
            release=RELEASE,
            platform=self.names.home,
            leader=self.lease,
            log=LOG,
            floor=lambda: store.fence(),
        )
        store = KubernetesStore(self._where[0], name, fence=lease, clock=lambda: self.now)
        return store, lease

    def lead(self) -> None:
        """Renew the platform's Lease and those of further namespaces, as their threads do."""
        self.lease.attempt()
        for lease in self.leases.values():
            with suppress(errors.Refused):
                lease.attempt()

    def gateways(self) -> Sequence[GatewayState]:
        heads = {one.name: head.seq for one in self.store.routes() if (head := self.store.head(one.name))}
        return [GatewayState("e1", True, heads)]

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        return Check(gate="smoke", verdict=Verdict.PASS, reason="golden rows agree")

    def go_on(self, seconds: float) -> None:
        for _ in range(int(seconds // 5)):
            self.lead()
            super().go_on(5)


def a_spec(model: str, target: str) -> RouteSpec:
    strategy = Strategy(steps=(Step(weight=5000, min_duration=20),), rollback_window=60, min_requests=0)
    return RouteSpec(
        model=model, versions={"1.0.0": ONE, "1.1.0": TWO}, target=Target(version=target), strategy=strategy
    )


@pytest.fixture
def names(api: Api) -> Iterator[Names]:
    start = f"ns-{uuid.uuid4().hex[:6]}"
    found = Names(*(f"{start}-{part}" for part in ("home", "a", "b", "unlisted", "absent")))
    for name in (found.home, found.a, found.b, found.unlisted):
        api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
    yield found
    for name in (found.home, found.a, found.b, found.unlisted):
        api.request("DELETE", f"/api/v1/namespaces/{name}")


As = Callable[..., Api]


@pytest.fixture
def as_user(prepared: Cluster) -> Iterator[As]:
    """The API as a user with these groups."""
    opened: list[Api] = []

    def open_as(name: str, *groups: str) -> Api:
        client = prepared.client_of(name, list(groups))
        opened.append(Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)})))
        return opened[-1]

    yield open_as
    for one in opened:
        one.close()


PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


def grant(api: Api, objects: Sequence[dict[str, Any]]) -> None:
    """Create the accounts and rights among these objects."""
    for one in objects:
        if one["kind"] in PLURALS:
            api.request("POST", PLURALS[one["kind"]].format(one["metadata"]["namespace"]), body=one)


def install(api: Api, names: Names) -> None:
    """The accounts and rights of the platform's chart. A namespace that does not exist gets nothing, as with Helm."""
    people = [{"kind": "User", "name": f"ada-{names.a}"}]
    listed = [{"name": names.a, "releasers": people}, {"name": names.b}, {"name": names.absent}]
    found = render("platform", {"namespaces": listed}, release=RELEASE, namespace=names.home)
    grant(api, [one for one in found.installed() if one["metadata"].get("namespace") != names.absent])


@pytest.fixture
def platform(api: Api, names: Names, as_user: As) -> Iterator[Platform]:
    install(api, names)
    account = f"system:serviceaccount:{names.home}:{RELEASE}-control-plane"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{names.home}")
    for namespace, model in ((names.a, "iris"), (names.b, "churn"), (names.unlisted, "lost")):
        KubernetesStore.direct(api, namespace).put_route(
            model, a_spec(model, "1.0.0"), now=datetime.now(UTC), actor="ada"
        )
        for ref, address in ((OLD, "10.0.0.1"), (NEW, "10.0.0.2")):
            make_version(api, namespace, ref, model=model)
            make_slice(api, namespace, ref, {address: {"ready": True}}, model=model)
    found = Platform(as_user(account, *groups), names)
    found.telling.tick(lambda: None)
    yield found
    found.store.close()
    found.writes.close()


def status_of(api: Api, namespace: str, model: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(ROUTES, namespace, model).get("status") or {}
    return found


def release(api: Api, namespace: str, model: str, version: str = "1.1.0") -> None:
    spec = a_spec(model, version)
    KubernetesStore.direct(api, namespace).put_route(model, spec, now=datetime.now(UTC), actor="ada", reason="better")


def a_rollback(platform: Platform, model: str, actor: str) -> Action:
    return Action(name=f"back-{model}", route=model, type=ActionType.ROLLBACK, actor=actor, created_at=platform.now)


def test_models_of_two_namespaces_are_released_and_one_is_rolled_back(
    api: Api, platform: Platform, names: Names, as_user: As
) -> None:
    for namespace, model in ((names.a, "iris"), (names.b, "churn")):
        assert status_of(api, namespace, model)["stable"]["version"] == "1.0.0"
        release(api, namespace, model)
    wait_until(lambda: {one.generation for one in platform.store.routes()} == {2}, "both releases are seen")
    platform.go_on(60)
    for namespace, model in ((names.a, "iris"), (names.b, "churn")):
        assert status_of(api, namespace, model)["stable"]["version"] == "1.1.0"
        assert KubernetesStore.direct(api, namespace).verify(model) is None
    ada = f"ada-{names.a}"
    team_a = KubernetesStore.direct(as_user(ada), names.a)
    team_a.create_action(a_rollback(platform, "iris", ada))
    wait_until(lambda: bool(platform.store.actions("iris", outcome=Outcome.PENDING)), "the action is seen")
    platform.go_on(5)
    done = team_a.action("back-iris")
    assert (done.outcome, done.actor_verified) == (Outcome.ACCEPTED, True)
    head = KubernetesStore.direct(api, names.a).head("iris")
    assert head is not None
    assert (head.cause, head.table.stable, head.namespace) == (Cause.ROLLED_BACK, OLD, names.a)
    assert status_of(api, names.b, "churn")["stable"]["version"] == "1.1.0"
    # The status of a route of any namespace says how old it is.
    assert KubernetesStore.direct(api, names.a).last_beat() is not None


def test_who_has_rights_in_one_namespace_cannot_act_in_another(platform: Platform, names: Names, as_user: As) -> None:
    ada = f"ada-{names.a}"
    client = as_user(ada)
    with pytest.raises(errors.Refused, match="is forbidden: User"):
        KubernetesStore.direct(client, names.b).create_action(a_rollback(platform, "churn", ada))
    # In their own namespace they may name a model of another one; the platform takes it for none of theirs.
    KubernetesStore.direct(client, names.a).create_action(a_rollback(platform, "churn", ada))
    platform.go_on(5)
    head = platform.store.head("churn")
    assert head is not None
    assert head.cause is Cause.CREATED


def test_a_route_of_a_namespace_that_is_not_listed_is_ignored(api: Api, platform: Platform, names: Names) -> None:
    platform.go_on(10)
    assert status_of(api, names.unlisted, "lost") == {}
    assert "lost" not in {one.name for one in platform.store.routes()}


def test_a_namespace_that_does_not_exist_stops_no_other_and_is_followed_when_it_is_there(
    api: Api, platform: Platform, names: Names
) -> None:
    [(namespace, why)] = platform.namespaces.problems().items()
    assert namespace == names.absent
    assert why.startswith("it cannot be read, so its models are not served: API server: ")
    assert "create the namespace if it does not exist, then upgrade the platform's chart" in why
    assert platform.namespaces.unread() == (names.absent,)
    api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": names.absent}})
    try:
        found = render("platform", {"namespaces": [{"name": names.absent}]}, release=RELEASE, namespace=names.home)
        grant(api, [one for one in found.installed() if one["metadata"].get("namespace") == names.absent])
        wait_until(lambda: not platform.namespaces.unread(), "the namespace can be read")
        wait_until(lambda: not platform.namespaces.problems(), "nothing is wrong with it")
    finally:
        api.request("DELETE", f"/api/v1/namespaces/{names.absent}")


def test_a_model_of_the_same_name_gets_a_condition_that_names_the_other_namespace(
    api: Api, platform: Platform, names: Names
) -> None:
    release(api, names.b, "iris", "1.0.0")  # created after that of the other namespace
    wait_until(lambda: bool(platform.namespaces.displaced()), "the second route is seen")
    platform.telling.tick(lambda: None)
    [condition] = status_of(api, names.b, "iris")["conditions"]
    assert condition["message"] == f"'iris' belongs to route 'iris' of namespace '{names.a}'"
    assert KubernetesStore.direct(api, names.b).head("iris") is None


def test_rights_that_are_taken_away_in_one_namespace_stop_no_other(api: Api, platform: Platform, names: Names) -> None:
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{names.a}/rolebindings"
    api.request("DELETE", f"{roles}/{labels.served_name(RELEASE, names.home)}")
    for namespace, model in ((names.a, "iris"), (names.b, "churn")):
        release(api, namespace, model)
    wait_until(lambda: platform.store.route("churn").generation == 2, "the release is seen")

    def is_refused() -> bool:
        with pytest.raises(errors.Refused):
            platform._where[0].list(ROUTES, names.a)
        return True

    wait_until(is_refused, "the right is gone")
    platform.go_on(60)
    assert status_of(api, names.b, "churn")["stable"]["version"] == "1.1.0"
    assert status_of(api, names.a, "iris")["stable"]["version"] == "1.0.0"


def test_the_policies_narrow_what_the_account_may_do_in_a_further_namespace(
    api: Api, platform: Platform, names: Names
) -> None:
    account, name = platform._where[0], labels.version_name("iris", OLD)
    with pytest.raises(errors.Refused, match="may change nothing but the owners"):
        account.patch(DEPLOYMENTS, names.a, name, {"metadata": {"labels": {"x": "y"}}})
    with pytest.raises(errors.Refused, match=f"may create only leases {RELEASE}-control-plane.{names.home}"):
        account.create(LEASES, names.a, {"metadata": {"name": "another"}, "spec": {}})
    with pytest.raises(errors.Refused, match=f"only the control plane, ServiceAccount {names.home}:{RELEASE}-control"):
        api.patch(LEASES, names.a, labels.served_name(RELEASE, names.home), {"spec": {"leaseTransitions": 99}})


def test_a_leader_that_was_frozen_writes_no_revision_in_a_further_namespace(
    api: Api, platform: Platform, names: Names
) -> None:
    release(api, names.a, "iris")
    wait_until(lambda: platform.store.route("iris").generation == 2, "the release is seen")
    lease = labels.served_name(RELEASE, names.home)
    later = api.get(LEASES, names.a, lease)["spec"]["leaseTransitions"] + 1
    platform._where[0].patch(LEASES, names.a, lease, {"spec": {"leaseTransitions": later}})
    head = platform.store.head("iris")
    platform.engine.tick()  # it does not know yet
    assert KubernetesStore.direct(api, names.a).head("iris") == head


def test_the_lease_of_a_further_namespace_goes_with_the_charts_account(
    api: Api, platform: Platform, names: Names
) -> None:
    name = labels.served_name(RELEASE, names.home)
    api.request("DELETE", f"/api/v1/namespaces/{names.b}/serviceaccounts/{name}")
    wait_until(lambda: name not in {one["metadata"]["name"] for one in api.list(LEASES, names.b)[0]}, "it is gone")


def test_helm_refuses_to_list_a_namespace_that_has_another_platform(api: Api, prepared: Cluster, names: Names) -> None:
    def rendered(release: str, home: str, namespace: str) -> str:
        value = f"namespaces[0].name={namespace}"
        where = ("--namespace", home, "--set", value, "--dry-run=server")
        return prepared.client().helm("template", release, str(CHARTS / "platform"), *where)

    found = render("platform", {"namespaces": [{"name": names.a}]}, release=RELEASE, namespace=names.home)
    written = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": names.home}
    accounts = [
        {**one, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **written}}}
        for one in found.of("ServiceAccount")
        if "control-plane" in (metadata := one["metadata"])["name"]
    ]
    grant(api, accounts)
    assert names.a in rendered(RELEASE, names.home, names.a)  # its own account is no obstacle
    for release, home, namespace, said in (
        ("second", names.home, names.a, f"release {RELEASE} of namespace {names.home}"),
        (RELEASE, names.b, names.a, f"release {RELEASE} of namespace {names.home}"),
        (RELEASE, names.b, names.home, f"release {RELEASE} of namespace {names.home}"),
    ):
        with pytest.raises(CommandFailed, match=f"namespaces: {namespace} has the control plane of another .*{said}"):
            rendered(release, home, namespace)
