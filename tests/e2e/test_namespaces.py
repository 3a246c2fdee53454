"""One platform for two namespaces, in pods: each model is answered by its own, and released without the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from e2e.conftest import temporary_namespace
from e2e.size import no_failed_requests
from fairlead.contracts import labels
from fairlead.contracts.revision import Cause
from support.cluster.installed import FLOWER, MODEL, PLATFORM, Installed
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

HERE, THERE = "iris-here", "iris-there"
"""The model in the platform's namespace, and the one in the team's."""
RATE = 50
COUNTED = re.compile(r"^fairlead_model_requests_total\{(.*)\} (\d+)", re.MULTILINE)
OTHER = 'protocol="other"'
"""In the labels of what is no prediction."""
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s"}], "minRequests": 0},
    "workload": {**MODEL["workload"], "instances": 1},
}
BOTH = {"target": "1.1.0", "versions": {"1.0.0": {}, "1.1.0": {}}}


@dataclass(frozen=True)
class Shared:
    """A platform, and the namespace of a team that it serves too. Only `team.kube` is another: the gateways are not."""

    platform: Installed
    team: Installed

    def predict(self, model: str) -> httpx.Response:
        """One prediction of a model, on a connection of its own."""
        return httpx.post(f"{self.platform.url}/models/{model}/predict", json=FLOWER, trust_env=False, timeout=5)


@pytest.fixture(scope="module")
def shared(platform: Installed, cluster: Cluster) -> Iterator[Shared]:
    """The platform serves a second namespace. Each of the two has a model; afterwards it has one namespace again."""
    if cluster.plan is None:
        pytest.skip("this test asks each pod, and in the cluster of KUBECONFIG it reaches only a forwarded port")
    with temporary_namespace(cluster, "team") as name:
        team = replace(platform, kube=cluster.client(name), models=set())
        try:
            platform.upgrade({**PLATFORM, "namespaces": [{"name": name}]})
            platform.deploy(HERE, VALUES)
            team.deploy(THERE, {**VALUES, "platform": {"namespace": platform.kube.namespace}})
            for place, model in ((platform, HERE), (team, THERE)):
                place.wait_for(model, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
            yield Shared(platform, team)
        finally:
            platform.upgrade(PLATFORM)


def answered(place: Installed, model: str) -> int:
    """How many predictions the pods of a model have answered."""
    found = 0
    for pod in place.kube.get("pods", "", "--selector", f"{labels.MODEL}={model}")["items"]:
        page = httpx.get(f"http://{pod['status']['podIP']}:8080/metrics", trust_env=False, timeout=10)
        found += sum(int(count) for named, count in COUNTED.findall(page.text) if OTHER not in named)
    return found


def test_each_model_is_answered_by_the_pods_of_its_own_namespace(shared: Shared, findings: Findings) -> None:
    places = {HERE: shared.platform, THERE: shared.team}
    before = {model: answered(place, model) for model, place in places.items()}
    for model, count in ((HERE, 10), (THERE, 20)):
        for _ in range(count):
            answer = shared.predict(model)
            assert (answer.status_code, answer.headers["x-route-revision"]) == (200, f"{model}.1")
    more = {model: answered(place, model) - before[model] for model, place in places.items()}
    findings.claim(
        "one platform, two namespaces: answers of each model's own pods, of 10 and 20",
        "10 and 20",
        " and ".join(map(str, more.values())),
        more == {HERE: 10, THERE: 20},
    )
    assert more == {HERE: 10, THERE: 20}


@pytest.fixture(scope="module")
def released(shared: Shared) -> dict[str, Summary]:
    """The team releases a version under load of both models: the load of each."""
    shared.team.deploy(THERE, {**VALUES, "platform": {"namespace": shared.platform.kube.namespace}, **BOTH})
    with (
        shared.platform.load(HERE, rate=RATE, seconds=300) as here,
        shared.platform.load(THERE, rate=RATE, seconds=300) as there,
    ):
        for load in (here, there):
            load.wait_sent(RATE)
        shared.team.wait_for(THERE, "1.1.0 serves", stable="1.1.0", phase="Stable", within=120)
        for load in (here, there):
            load.wait_sent(load.progress.sent + RATE)
            load.stop()
        return {HERE: here.result(), THERE: there.result()}


def test_a_release_in_one_namespace_fails_no_request_of_either(
    released: dict[str, Summary], findings: Findings
) -> None:
    for model, where in ((HERE, "of the other namespace"), (THERE, "of its own namespace")):
        what = f"a release in one of two namespaces: requests {where} that failed"
        findings.claim(*no_failed_requests(what, released[model]))
        assert released[model].failures == {}, released[model].samples
    assert released[THERE].by_version.keys() == {"1.0.0", "1.1.0"}


def test_it_leaves_the_model_of_the_other_namespace_alone(shared: Shared, released: dict[str, Summary]) -> None:
    assert released[HERE].by_revision.keys() == {f"{HERE}.1"}
    assert [one.cause for one in shared.platform.history(HERE)] == [Cause.CREATED]
    assert {one.namespace for one in shared.team.history(THERE)} == {shared.team.kube.namespace}


def test_the_policies_of_the_charts_let_only_this_platform_reach_the_teams_pods(shared: Shared) -> None:
    team = shared.team.kube
    [pod] = [
        one for one in shared.team.of_version("pods", THERE, "1.0.0") if "deletionTimestamp" not in one["metadata"]
    ]
    admitted: set[str] = set()
    for policy in team.get("networkpolicies")["items"]:
        spec = policy["spec"]
        if pod["metadata"]["name"] in named(team, "pods", spec["podSelector"]):
            assert spec["policyTypes"] == ["Ingress", "Egress"]
            assert not spec.get("egress")
            admitted |= {one for rule in spec["ingress"] for peer in rule["from"] for one in admits(team, peer)}
    there = {*shared.platform.pods("gateway"), *shared.platform.pods("control-plane")}
    assert admitted == there


def named(kube: Client, kind: str, selector: dict[str, Any], *options: str) -> set[str]:
    """The names of the objects that a selector of a policy matches, by the API server's own reading of it."""
    words = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", ()):
        words.append(f"{one['key']} {one['operator'].lower()} ({','.join(one['values'])})")
    found = kube.get(kind, "", "--selector", ",".join(words), *options)["items"]
    return {one["metadata"]["name"] for one in found}


def admits(kube: Client, peer: dict[str, Any]) -> set[str]:
    """The pods that a peer of a policy is."""
    namespaces = (
        named(kube, "namespaces", peer["namespaceSelector"]) if "namespaceSelector" in peer else {kube.namespace}
    )
    return {one for name in namespaces for one in named(replace(kube, namespace=name), "pods", peer["podSelector"])}


def test_the_account_of_the_platform_has_in_the_teams_namespace_the_rights_of_the_chart_only(shared: Shared) -> None:
    account = f"--as=system:serviceaccount:{shared.platform.kube.namespace}:fairlead-control-plane"

    def may(verb: str, what: str) -> bool:
        try:
            return shared.team.kube("auth", "can-i", verb, *what.split(), account).strip() == "yes"
        except CommandFailed:
            return False

    assert may("create", "modelrouterevisions.fairlead.dev")
    assert may("patch", "modelroutes.fairlead.dev --subresource=status")
    for verb, what in (
        ("get", "secrets"),
        ("get", "configmaps"),
        ("get", "pods --subresource=log"),
        ("create", "deployments.apps"),
        ("patch", "modelroutes.fairlead.dev"),
        ("list", "modelroutes.fairlead.dev --namespace=default"),
    ):
        assert not may(verb, what), (verb, what)


def test_a_namespace_that_is_taken_out_of_the_list_is_no_longer_served_and_the_other_is(shared: Shared) -> None:
    shared.platform.upgrade(PLATFORM)
    wait_until(lambda: shared.predict(THERE).status_code == 404, f"{THERE} is gone from the gateways", within=60)
    assert shared.predict(HERE).status_code == 200
    assert shared.team.of_version("pods", THERE, "1.1.0"), "its pods are the team's"
