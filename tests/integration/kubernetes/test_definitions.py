"""The CRDs on a real API server: their rules refuse what the contracts refuse, and accept what they accept."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.route import RouteSpec
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS, REVISIONS, ROUTES
from support.cluster.lifecycle import Cluster

GOOD: dict[str, Any] = {
    "model": "iris",
    "versions": {"1.0.0": {"image": "iris@sha256:0"}, "1.1.0": {}},
    "target": {"version": "1.0.0"},
}


def create_route(api: Api, namespace: str, spec: dict[str, Any], name: str = "iris") -> dict[str, Any]:
    return api.create(ROUTES, namespace, {"metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sticky": None},
        {"mirrors": [{"version": "1.1.0", "share": 100}]},
        {"strategy": {"steps": [], "gates": []}},
        {"strategy": {"steps": [{"weight": 1}, {"weight": 10_000, "minDuration": "1h30m", "approval": True}]}},
        {"strategy": {"gates": [{"name": "ready"}, {"name": "smoke", "role": "signal"}], "rollbackWindow": "7d"}},
        {"timeouts": {"request": "500ms", "perTry": "500ms"}},
        {"timeouts": {"request": "1d"}},
        {"timeouts": {"perTry": "10s"}},
        {"versions": {"1.0.0": {"minInstances": 0}}, "scaleToZero": {"after": "1s", "wait": "10m", "requests": 512}},
        {"scaleToZero": {"after": "1d"}, "versions": {"1.0.0": {"minInstances": None}}},
        {"timeouts": {"perTry": None}},
        {"timeouts": {"request": "1s"}},
    ],
)
def test_a_spec_that_the_contract_accepts_is_accepted_and_stored_unchanged(
    api: Api, namespace: str, change: dict[str, Any]
) -> None:
    wanted = RouteSpec.model_validate(GOOD | change)
    assert RouteSpec.model_validate(create_route(api, namespace, GOOD | change)["spec"]) == wanted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": {"version": "2.0.0"}}, "target.version 2.0.0 is not one of versions"),
        ({"mirrors": [{"version": "2.0.0"}]}, "each mirror must be one of versions"),
        ({"versions": {"1.0.0": {}, "Bad_Name": {}}}, "a version's name may have up to 40 lower-case"),
        ({"strategy": {"steps": [{"weight": 500}, {"weight": 500}]}}, "steps must rise"),
        ({"strategy": {"steps": [{"weight": 900}, {"weight": 500}]}}, "steps must rise"),
        ({"strategy": {"gates": [{"name": "ready"}, {"name": "ready"}]}}, "each gate may be named once"),
        ({"timeouts": {"request": "1s", "perTry": "2s"}}, "perTry must be at most request"),
        ({"timeouts": {"request": "1s", "perTry": "1500ms"}}, "perTry must be at most request"),
        ({"timeouts": {"perTry": "0s"}}, "perTry must be above 0"),
        ({"scaleToZero": {"after": "500ms"}}, "after must be at least 1s"),
        ({"scaleToZero": {"wait": "0s"}}, "wait must be above 0 and at most 10m"),
        ({"scaleToZero": {"wait": "11m"}}, "wait must be above 0 and at most 10m"),
        ({"scaleToZero": {"wait": "1d"}}, "wait must be above 0 and at most 10m"),
        ({"versions": {"1.0.0": {"minInstances": 1}}}, "should be less than or equal to 0"),
        ({"versions": {}}, "should have at least 1 properties"),
        ({"strategy": {"warmUp": {"deadline": "soon"}}}, "should match"),
    ],
)
def test_a_spec_that_a_rule_refuses_is_refused_by_the_contract_too(
    api: Api, namespace: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError):
        RouteSpec.model_validate(GOOD | change)
    with pytest.raises(errors.Invalid, match=message):
        create_route(api, namespace, GOOD | change)


@pytest.mark.parametrize("name", ["iris.v1", "i" * 41])
def test_a_route_whose_revisions_could_not_be_named_is_refused(api: Api, namespace: str, name: str) -> None:
    with pytest.raises(errors.Invalid, match="a route's name"):
        create_route(api, namespace, GOOD, name)


def revision(name: str, seq: int = 7) -> dict[str, Any]:
    ref = {"version": "1.0.0", "identity": "0123456789"}
    moment = "2026-01-01T00:00:00Z"
    table = {"model": "iris", "stable": ref, "pins": [ref]}
    spec = {"route": "iris", "seq": seq, "cause": "spec", "generation": 1, "table": table, "createdAt": moment}
    fence = {"fairlead.dev/fence": "0"}
    return {
        "metadata": {"name": name, "annotations": fence},
        "spec": {**spec, "state": {"target": ref, "enteredAt": moment}},
    }


@pytest.mark.parametrize("name", ["iris-8", "iris-07", "wine-7", "iris-7-7", "iris-x"])
def test_a_revision_whose_name_does_not_match_its_number_is_refused(api: Api, namespace: str, name: str) -> None:
    api.create(REVISIONS, namespace, revision("iris-7"))
    with pytest.raises(errors.FairleadError):
        api.create(REVISIONS, namespace, revision(name))


def test_a_revision_is_never_changed(api: Api, namespace: str) -> None:
    api.create(REVISIONS, namespace, revision("iris-7"))
    with pytest.raises(errors.Invalid, match="never changed"):
        api.patch(REVISIONS, namespace, "iris-7", {"spec": {"reason": "else"}})


def test_an_action_is_never_changed_and_finishes_once(api: Api, namespace: str) -> None:
    action = {"metadata": {"name": "a1"}, "spec": {"route": "iris", "type": "rollback", "actor": "ada"}}
    api.create(ACTIONS, namespace, action)
    with pytest.raises(errors.Invalid, match="never changed"):
        api.patch(ACTIONS, namespace, "a1", {"spec": {"route": "wine"}})
    api.patch(ACTIONS, namespace, "a1", {"status": {"outcome": "accepted"}}, part="status")
    with pytest.raises(errors.Invalid, match="outcome of a finished action cannot be changed"):
        api.patch(ACTIONS, namespace, "a1", {"status": {"outcome": "refused"}}, part="status")


def test_a_typo_is_refused_with_its_path(prepared: Cluster, namespace: str) -> None:
    client = prepared.client(namespace)
    typo = {"metadata": {"name": "iris"}, "spec": GOOD | {"targets": {}}}
    with pytest.raises(AssertionError, match=r"spec\.targets"):
        client.apply({"apiVersion": ROUTES.api_version, "kind": ROUTES.kind, **typo})


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("modelroute.spec.target", "A release changes only this"),
        ("mr.spec.strategy.steps.weight", "1/10,000"),
        ("mr.spec.timeouts.request", 'Default: "10s"'),
        ("mrr.spec.windows", "counted"),
        ("mra.spec.type", "RBAC grants each type"),
    ],
)
def test_kubectl_explain_describes_a_field(prepared: Cluster, path: str, text: str) -> None:
    assert text in " ".join(prepared.client()("explain", path).split())


def test_kubectl_get_shows_what_is_stable_and_whether_it_serves(prepared: Cluster, api: Api, namespace: str) -> None:
    create_route(api, namespace, GOOD)
    ref = {"version": "1.0.0", "identity": "0123456789"}
    ready = {"type": "Ready", "status": "False", "reason": "NothingReady", "message": "1.0.0 has no ready instance"}
    status = {"stable": ref, "phase": "Stable", "revision": "iris.3", "weight": 0, "conditions": [ready]}
    api.patch(ROUTES, namespace, "iris", {"status": status}, part="status")
    head, row = prepared.client(namespace)("get", "mr").splitlines()
    columns = ["NAME", "TARGET", "STABLE", "CANDIDATE", "WEIGHT", "PHASE", "REVISION", "READY", "HEALTH", "AGE"]
    assert head.split() == columns
    assert row.split()[:8] == ["iris", "1.0.0", "1.0.0", "0", "Stable", "iris.3", "False", "NothingReady"]
