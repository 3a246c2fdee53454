"""Authorization on a real API server: the chart's roles, and the two policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.revision import Cause
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.admission import actors_are_verified
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS
from support.cluster.lifecycle import Cluster
from support.processes import wait_until
from unit.store.builders import NOW, a_spec, routed, successor

ROLES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[3] / "charts/platform/files/roles.yaml").read_text()
)
MAY = {
    "viewer": set[str](),
    "releaser": {"rollback", "retry", "pause", "resume"},
    "onCall": {"rollback", "retry", "approve", "pause", "resume", "promote"},
}


def api_of(cluster: Cluster, user: str) -> Api:
    return Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.client_of(user).kubeconfig)}))


def grant(cluster: Cluster, namespace: str, user: str, role: str) -> None:
    group = "rbac.authorization.k8s.io"
    kind = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": role.lower(), "namespace": namespace}}
    cluster.client(namespace).apply(
        {**kind, "rules": ROLES[role]},
        {
            **kind,
            "kind": "RoleBinding",
            "roleRef": {"apiGroup": group, "kind": "Role", "name": role.lower()},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    )


def an_action(kind: str, actor: str) -> Action:
    return Action(name=f"{actor}-{kind}", route="iris", type=ActionType(kind), actor=actor, created_at=NOW)


@pytest.mark.parametrize("role", sorted(MAY))
def test_a_role_may_request_its_types_of_action_only(prepared: Cluster, api: Api, namespace: str, role: str) -> None:
    user = f"user-{role.lower()}"
    routed(KubernetesStore.direct(api, namespace), "iris")
    grant(prepared, namespace, user, role)
    theirs = api_of(prepared, user)
    store = KubernetesStore.direct(theirs, namespace)
    wait_until(lambda: _can_read(store), f"{role} may read")
    asked = set()
    for kind in ActionType:
        try:
            store.create_action(an_action(kind, user))
        except errors.Refused:
            continue
        asked.add(kind.value)
    theirs.close()
    assert asked == MAY[role]


def _can_read(store: KubernetesStore) -> bool:
    try:
        return bool(store.routes())
    except errors.Refused:
        return False


def test_a_forged_actor_is_refused_naming_the_real_user(api: Api, namespace: str) -> None:
    store = routed(KubernetesStore.direct(api, namespace), "iris")
    with pytest.raises(errors.Refused, match="actor must be who asks, and that is ada"):
        store.create_action(an_action("rollback", "bob"))


def test_a_viewer_cannot_change_a_route(prepared: Cluster, api: Api, namespace: str) -> None:
    routed(KubernetesStore.direct(api, namespace), "iris")
    grant(prepared, namespace, "vera", "viewer")
    theirs = api_of(prepared, "vera")
    store = KubernetesStore.direct(theirs, namespace)
    wait_until(lambda: _can_read(store), "the viewer may read")
    with pytest.raises(errors.Refused, match="cannot update"):
        store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="vera")
    theirs.close()


def test_the_control_plane_has_the_rights_it_needs_and_cannot_write_specs(
    prepared: Cluster, api: Api, namespace: str
) -> None:
    routed(KubernetesStore.direct(api, namespace), "iris")
    grant(prepared, namespace, "plane", "controlPlane")
    theirs = api_of(prepared, "plane")
    store = KubernetesStore(theirs, namespace)
    wait_until(lambda: _can_read(KubernetesStore.direct(theirs, namespace)), "it may read")
    with store:
        store.wait_until_loaded(10)
        head = store.append(successor(None, cause=Cause.CREATED))
        store.set_status("iris", {"phase": "Stable"})
        store.prune("iris", keep=1, now=NOW)
        store.want([])
        assert store.head("iris") == head
        with pytest.raises(errors.Refused, match="cannot update"):
            store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="plane")
        assert store.actors_are_verified
    theirs.close()


def test_the_control_plane_notices_that_actors_are_not_verified(prepared: Cluster, api: Api, namespace: str) -> None:
    client = prepared.client()
    binding = client.get("validatingadmissionpolicybinding", "fairlead-people")
    client("delete", "validatingadmissionpolicybinding", "fairlead-people")
    try:
        wait_until(lambda: not actors_are_verified(api, namespace), "the policy is at work no more")
        assert api.list(ACTIONS, namespace)[0] == []  # the check left no object
    finally:
        for name in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
            binding["metadata"].pop(name, None)
        client.apply(binding)
    wait_until(lambda: actors_are_verified(api, namespace), "the policy is at work again")
