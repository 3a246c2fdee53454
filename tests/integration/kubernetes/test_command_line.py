"""The command line as used by a cluster's user, with a kubeconfig and RBAC."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from fairlead.cli import exit_codes
from fairlead.contracts import labels
from fairlead.contracts.access import Quota
from fairlead.contracts.action import Outcome
from fairlead.contracts.quota_use import QuotaUse
from fairlead.contracts.revision import Cause, Phase
from fairlead.contracts.route import Target
from fairlead.contracts.status import Condition, Status
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import LEASES, PODS, ROUTES
from fairlead.store.kubernetes.lease import Lease
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.helm import render
from support.processes import wait_until
from unit.store.builders import REF, routed, successor

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def run(prepared: Cluster, namespace: str, tmp_path: Path) -> Run:
    """Run `fairlead ARGUMENTS` in an empty folder, as ada."""
    return runner(prepared.client_of("ada", groups=["system:masters"]).kubeconfig, namespace, tmp_path)


def runner(config: Path, namespace: str, folder: Path) -> Run:
    def fairlead(
        *arguments: str, where: tuple[str, ...] = ("--namespace", namespace)
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", *arguments, *where],
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, "KUBECONFIG": str(config), "FAIRLEAD_ACTOR": "eve"},
            check=False,
        )

    return fairlead


@pytest.fixture
def store(api: Api, namespace: str) -> Iterator[KubernetesStore]:
    """The control plane's store, with a route that serves 1.0.0, and a Lease that is renewed for an hour."""
    renewed = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = {"name": "fairlead-control-plane", "labels": {labels.LEASE: "leader"}}
    api.create(LEASES, namespace, {"metadata": metadata, "spec": {"renewTime": renewed, "leaseTransitions": 0}})
    with KubernetesStore(api, namespace) as store:
        store.wait_until_loaded(10)
        head = routed(store, "iris").append(successor(None, cause=Cause.CREATED))
        ready = Condition(type="Ready", status=True, reason="Serving", message="1.0.0 serves")
        status = Status(
            route="iris",
            observed_generation=1,
            phase=Phase.STABLE,
            revision=head.id,
            seq=1,
            stable=REF,
            target=REF,
            conditions=(ready,),
        )
        store.set_status("iris", status.to_json())
        yield store


def test_check_pool_names_the_node_that_is_missing_and_a_model_with_nodes_passes(
    store: KubernetesStore, run: Run, api: Api, namespace: str
) -> None:
    def create(name: str, accelerator: dict[str, str]) -> None:
        labels = {"fairlead.dev/model": "iris", "fairlead.dev/version": "1.0.0"}
        containers = [{"name": "model", "image": "models/iris:1"}]
        spec = {"nodeSelector": accelerator, "containers": containers}
        api.create(PODS, namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})

    create("runs", {})
    wait_until(lambda: "nodeName" in api.get(PODS, namespace, "runs")["spec"], "the pod has a node")
    passed = run("check-pool", "iris")
    assert (passed.returncode, passed.stderr) == (0, "")
    assert "on its node" in passed.stdout
    create("waits", {"gpu": "l4"})
    failed = run("check-pool", "iris")
    assert failed.returncode == exit_codes.FAILED
    assert "waits for a node" in failed.stdout
    assert failed.stderr.startswith("fairlead: iris 1.0.0: no node has gpu=l4; none of these nodes has that label\n")
    shown = json.loads(run("check-pool", "iris", "--json").stdout)
    assert {one["pod"]: one["cause"] for one in shown["pods"]} == {"runs": "", "waits": "labels"}
    nowhere = run("check-pool", "iris", where=())
    assert nowhere.returncode == exit_codes.USAGE
    assert "fairlead check-pool iris --namespace NAME" in nowhere.stderr


def test_status_and_history_show_the_objects(store: KubernetesStore, run: Run) -> None:
    row = run("status").stdout.splitlines()[1].split()
    assert row[:4] == ["iris", "serving", "Stable", "1.0.0"]
    shown = json.loads(run("history", "iris", "--json").stdout)
    assert [one["seq"] for one in shown] == [1]
    assert "1 revisions, the chain holds" in run("history", "iris", "--verify").stdout
    assert store.status("iris") is not None


def test_explain_answers_from_the_head(store: KubernetesStore, run: Run) -> None:
    assert "1.0.0" in run("explain", "iris", "--user", "ada").stdout


def test_wait_ends_when_the_target_serves(store: KubernetesStore, run: Run) -> None:
    done = run("wait", "iris", "--timeout", "5s")
    assert (done.returncode, done.stdout) == (
        exit_codes.OK,
        "iris: serves already: 1.0.0 serves everything, revision iris.1; no release of it is in progress\n",
    )


@pytest.mark.parametrize("verb", ["rollback", "promote", "approve", "pause", "resume", "retry"])
def test_an_action_is_requested_as_the_user_and_finished_by_the_engine(
    store: KubernetesStore, run: Run, verb: str
) -> None:
    asked = in_background(run, verb, "iris", "--reason", "because")
    wait_until(lambda: store.actions(outcome=Outcome.PENDING) != [], "the action is there")
    (action,) = store.actions()
    store.finish_action(action.name, Outcome.ACCEPTED, message="done", revision=1)
    done = asked()
    assert (done.returncode, done.stdout) == (0, f"iris: {verb} accepted, revision iris.1. done\n"), done.stderr
    # The cluster authenticates the user; FAIRLEAD_ACTOR is ignored there.
    assert (action.actor, action.type.value, action.reason) == ("ada", verb, "because")


def test_a_refused_action_is_a_refusal_with_the_engines_reason(store: KubernetesStore, run: Run) -> None:
    asked = in_background(run, "rollback", "iris")
    wait_until(lambda: store.actions() != [], "the action is there")
    store.finish_action(store.actions()[0].name, Outcome.REFUSED, message="1.0.0 serves already")
    done = asked()
    assert done.returncode == exit_codes.REFUSED
    assert "1.0.0 serves already" in done.stderr


def test_the_engines_reason_reaches_a_person_on_call_who_may_not_list_pods(
    store: KubernetesStore, api: Api, prepared: Cluster, namespace: str, tmp_path: Path
) -> None:
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = yaml.safe_load((REPOSITORY / "charts/platform/files/roles.yaml").read_text())["onCall"]
    api.request("POST", f"{rights}/roles", body={"metadata": {"name": "on-call"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "on-call"}
    grace = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "grace"}
    binding = {"metadata": {"name": "grace"}, "roleRef": reference, "subjects": [grace]}
    api.request("POST", f"{rights}/rolebindings", body=binding)
    hers = runner(prepared.client_of("grace", groups=[]).kubeconfig, namespace, tmp_path)
    asked = in_background(hers, "rollback", "iris")
    wait_until(lambda: store.actions() != [], "the action is there")
    store.finish_action(store.actions()[0].name, Outcome.REFUSED, message="1.0.0 serves already")
    done = asked()
    assert (done.returncode, "1.0.0 serves already" in done.stderr) == (exit_codes.REFUSED, True), done.stderr


def test_the_options_of_an_action_are_fields_of_its_object(store: KubernetesStore, run: Run) -> None:
    asked = [
        in_background(run, "rollback", "iris", "--to", "1.0.0", "--even-if-down"),
        in_background(run, "promote", "iris", "--even-if-stable-serves"),
        in_background(run, "pause", "iris", "--for", "30m"),
    ]
    wait_until(lambda: len(store.actions()) == len(asked), "the actions are there")
    found = {action.type.value: action for action in store.actions()}
    for action in found.values():
        store.finish_action(action.name, Outcome.ACCEPTED, message="done", revision=1)
    assert [ended().returncode for ended in asked] == [0, 0, 0]
    assert (found["rollback"].to_revision, found["rollback"].even_if_down) == (1, True)
    assert (found["promote"].even_if_stable_serves, found["promote"].even_if_down) == (True, False)
    assert found["promote"].attempt == 0  # bound to the present attempt
    assert found["pause"].pause_for == 1800.0


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        (("rollback", "iris", "--to", "9.9.9"), exit_codes.NOT_FOUND, "'9.9.9' is no revision of iris"),
        (("pause", "iris", "--for", "400d"), exit_codes.USAGE, "lasts 1s to 7d"),
    ],
)
def test_what_an_action_cannot_mean_is_refused_and_not_stored(
    store: KubernetesStore, run: Run, command: tuple[str, ...], code: int, why: str
) -> None:
    done = run(*command)
    assert (done.returncode, why in done.stderr) == (code, True), done.stderr
    assert store.actions() == []


def test_a_release_of_a_route_without_another_manager_changes_its_target(store: KubernetesStore, run: Run) -> None:
    done = run("release", "iris", "1.1.0", "--reason", "better")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: store.route("iris").spec.target == Target(version="1.1.0"), "it is the target")
    route = store.route("iris")
    assert (route.actor, route.reason, route.generation) == ("ada", "better", 2)


def test_a_release_of_a_route_managed_by_helm_is_refused_with_the_line_to_change(
    api: Api, namespace: str, store: KubernetesStore, run: Run
) -> None:
    helm = {"annotations": {"meta.helm.sh/release-name": "iris"}, "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    api.patch(ROUTES, namespace, "iris", {"metadata": helm})
    done = run("release", "iris", "1.1.0")
    assert done.returncode == exit_codes.REFUSED
    assert '-target: "1.0.0"\n' in done.stderr
    assert '+target: "1.1.0"\n' in done.stderr
    assert f"helm upgrade iris charts/model --namespace {namespace} --values YOUR-VALUES.yaml" in done.stderr
    assert store.route("iris").spec.target == Target(version="1.0.0")


def test_a_release_of_a_route_managed_by_argo_cd_is_refused(
    api: Api, namespace: str, store: KubernetesStore, run: Run
) -> None:
    api.patch(ROUTES, namespace, "iris", {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}})
    done = run("release", "iris", "1.1.0")
    assert done.returncode == exit_codes.REFUSED
    assert "managed by Argo CD" in done.stderr


def test_without_a_namespace_or_context_the_command_uses_a_folder(run: Run) -> None:
    done = run("status", where=())
    assert done.returncode == exit_codes.UNAVAILABLE
    assert "there is no platform in" in done.stderr
    assert "--namespace" in done.stderr


def test_a_missing_context_is_named_with_the_existing_ones(run: Run) -> None:
    done = run("status", where=("--context", "prod"))
    assert done.returncode == exit_codes.NOT_FOUND
    assert "no context 'prod'" in done.stderr


def in_background(run: Run, *arguments: str) -> Callable[[], Done]:
    """Start a command; returns a function that waits for its end."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(run, *arguments)

    def ended() -> Done:
        pool.shutdown()
        return future.result()

    return ended


def test_remove_changes_nothing_and_prints_the_command_that_does(store: KubernetesStore, run: Run) -> None:
    done = run("remove", "iris")
    assert done.returncode == exit_codes.REFUSED
    assert f"kubectl delete modelroute iris --namespace {store.namespace}" in done.stderr
    assert "this deletes its ledger too" in done.stderr
    assert run("remove", "rose").returncode == exit_codes.NOT_FOUND
    assert store.route("iris").name == "iris"


def test_logs_of_a_model_without_pods_say_so(store: KubernetesStore, run: Run) -> None:
    done = run("logs", "iris")
    assert done.returncode == exit_codes.NOT_FOUND
    assert f"no pod of iris is in namespace {store.namespace}" in done.stderr


def test_a_viewer_of_the_chart_is_told_of_a_missing_platform_and_reads_what_clients_have_used(
    prepared: Cluster, api: Api, namespace: str, tmp_path: Path
) -> None:
    viewers = [{"kind": "User", "name": "vera-of-quotas"}]
    chart = render("platform", {"roles": {"viewers": viewers}}, namespace=namespace)
    roles = [chart.one(kind, "fairlead-viewer") for kind in ("Role", "RoleBinding")]
    prepared.client(namespace).apply(*roles)
    for name in ("fairlead-quotas", "settings"):
        use = QuotaUse(clients={}, quotas={"shop": Quota(day=10)}, gateways={})
        body = {"metadata": {"name": name}, "data": {"use.json": use.model_dump_json(by_alias=True)}}
        api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body=body)
    client = replace(prepared.client_of("vera-of-quotas"), namespace=namespace)
    run = runner(client.kubeconfig, namespace, tmp_path)
    wait_until(lambda: run("status").returncode == 0, "the role is in force", every=0.5)
    for done, code in ((run("status"), 0), (run("clients"), exit_codes.UNAVAILABLE)):
        said = " ".join((done.stdout + done.stderr).split())
        assert f"no platform serves namespace {namespace}: no control plane has a Lease there, so nobody" in said
        assert "install the platform's chart there" in said
        assert done.returncode == code
    assert Lease(api, namespace, "fairlead-control-plane", "pod-1", log=logging.getLogger()).attempt()
    assert "no platform serves" not in run("status").stdout
    assert "shop" in run("clients").stdout
    for words in (("get", "configmap", "settings"), ("get", "configmaps")):
        with pytest.raises(CommandFailed, match="forbidden"):
            client(*words)
