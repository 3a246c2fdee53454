"""Releases by `helm upgrade` under load, on real pods: a good version is promoted, an unready one is rejected."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.cli.exit_codes import ROLLED_BACK
from fairlead.contracts.revision import Cause, Revision
from support.cluster.installed import MODEL, Installed
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-released"
RATE, REQUESTS = (200, 50_000) if FULL else (100, 3_000)
STEP = "60s" if FULL else "3s"
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {
        "warmUp": {"deadline": "10s"},
        "steps": [{"weight": 1000, "minDuration": STEP}, {"weight": 5000, "minDuration": STEP}],
    },
}
NEVER_READY: dict[str, Any] = {
    # It starts and stays alive, but its golden rows are never answered, so /readyz always fails.
    "1.2.0": {
        "image": {"repository": "fairlead/model-doubler", "tag": "1.1.0"},
        "overrides": {"instances": 1, "extraEnv": [{"name": "DOUBLER_FAULTS", "value": '{"hang": true}'}]},
    },
    "1.3.0": {"image": {"tag": "nobody-built-this"}, "overrides": {"instances": 1}},
}
UNLOADABLE: dict[str, Any] = {
    "image": {"repository": "fairlead/model-doubler", "tag": "1.1.0"},
    "overrides": {"instances": 2, "extraEnv": [{"name": "DOUBLER_FAULTS", "value": '{"unloadable": true}'}]},
}
MAX_REJECTED_S = 60
"""An unloadable version is rejected within this time, of ten minutes that its deadline allows: two pods start, beside a
load, on a node of two cores."""


@dataclass(frozen=True)
class Releases:
    """The results of three releases: the load, the ledger, Helm's history and the containers."""

    platform: Installed
    summary: Summary
    ledger: list[Revision]
    helm: list[dict[str, Any]]
    unready: dict[str, list[dict[str, Any]]]
    """The containers of each version that never got ready, as they were when it was rolled back."""


@pytest.fixture(scope="module")
def releases(platform: Installed, image: Callable[[str], str]) -> Releases:
    image("doubler:1.1.0")
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    unready = {}
    with platform.load(NAME, rate=RATE, seconds=600) as load:
        load.wait_sent(RATE)
        platform.deploy(NAME, VALUES, "--set", "target=1.1.0")
        platform.fairlead("wait", NAME, "--timeout", "5m")
        versions: dict[str, Any] = dict(VALUES["versions"])
        for version, what in NEVER_READY.items():
            versions[version] = what
            platform.deploy(NAME, {**VALUES, "versions": versions, "target": version})
            platform.fairlead("wait", NAME, "--timeout", "2m", expect=ROLLED_BACK)
            unready[version] = created(platform, version)
        load.wait_sent(REQUESTS)
        load.stop()
        summary = load.result()
    helm = json.loads(platform.kube.helm("history", NAME, "--output", "json"))
    return Releases(platform, summary, platform.history(NAME), helm, unready)


def created(platform: Installed, version: str) -> list[dict[str, Any]]:
    """The model containers of a version's pods, once a busy node has created them or said why it cannot."""
    found: list[dict[str, Any]] = []

    def are_created() -> bool:
        pods = platform.of_version("pods", NAME, version)
        found[:] = [one for pod in pods for one in pod["status"].get("containerStatuses") or ()]
        reasons = [one["state"].get("waiting", {}).get("reason") for one in found]
        return bool(found) and "ContainerCreating" not in reasons

    wait_until(are_created, f"the containers of {version} are created", within=60, every=0.5)
    return found


def test_no_request_fails_while_versions_come_and_go(releases: Releases, findings: Findings) -> None:
    what = "a version is promoted, two never get ready: requests that failed"
    findings.claim(*no_failed_requests(what, releases.summary))
    findings.numbers["release"] = releases.summary.to_json()
    assert releases.summary.sent >= REQUESTS
    assert releases.summary.failures == {}, releases.summary.samples


def test_the_weight_rises_step_by_step_until_the_version_is_promoted(releases: Releases) -> None:
    weights = [one.table.weight for one in releases.ledger if str(one.table.candidate) == "1.1.0"]
    assert weights == [1000, 5000]
    [promotion] = [one for one in releases.ledger if one.cause is Cause.PROMOTED]
    assert (str(promotion.table.stable), promotion.table.candidate) == ("1.1.0", None)


def test_the_share_of_responses_by_the_candidate_matches_its_weight(releases: Releases) -> None:
    for revision in releases.ledger:
        answers = releases.summary.of_revision(revision.id)
        if answers.sent < 100 or revision.table.candidate is None:
            continue
        share = answers.by_version.get("1.1.0", 0) / answers.sent
        assert share == pytest.approx(revision.table.weight / 10_000, abs=0.12), revision.id


def test_one_unready_version_runs_and_the_other_cannot_start(releases: Releases) -> None:
    [runs] = releases.unready["1.2.0"]
    assert (runs["started"], runs["ready"], runs["restartCount"]) == (True, False, 0)
    [cannot] = releases.unready["1.3.0"]
    assert "waiting" in cannot["state"]


@pytest.mark.parametrize("version", NEVER_READY)
def test_a_version_that_never_gets_ready_gets_no_traffic_and_is_listed_as_rejected(
    releases: Releases, version: str
) -> None:
    assert version not in releases.summary.by_version
    assert version not in {str(one.table.candidate) for one in releases.ledger}
    rejected = {one["ref"]["version"]: one["reason"] for one in releases.platform.status(NAME)["rejected"]}
    assert "ready" in rejected[version]


def test_a_version_without_an_image_is_rejected_with_the_reason_of_its_pod(releases: Releases) -> None:
    rejected = {one["ref"]["version"]: one["reason"] for one in releases.platform.status(NAME)["rejected"]}
    # On a busy node it is still being created at the deadline.
    assert any(f"(its container {does} (" in rejected["1.3.0"] for does in ("has no image", "is being created"))


def test_helm_kubectl_and_the_ledger_show_the_same_releases(releases: Releases) -> None:
    kube = releases.platform.kube
    assert [one["revision"] for one in releases.helm] == [1, 2, 3, 4]
    targets = [
        json.loads(kube.helm("get", "values", NAME, "--revision", str(number), "--output", "json"))["target"]
        for number in (1, 2, 3, 4)
    ]
    assert targets == ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]
    # There is an extra revision for the pin of 1.1.0 if it became ready later than 1.0.0.
    between = (Cause.STEP, Cause.PINNED)
    causes = [(one.cause, one.reason.partition(":")[0]) for one in releases.ledger if one.cause not in between]
    assert causes == [
        (Cause.CREATED, "1.0.0 is the first version"),
        (Cause.RELEASED, "release of 1.1.0"),
        (Cause.PROMOTED, "1.1.0 passed every step and is stable"),
        (Cause.RELEASED, "release of 1.2.0"),
        (Cause.ROLLED_BACK, "1.2.0 was rolled back"),
        (Cause.RELEASED, "release of 1.3.0"),
        (Cause.ROLLED_BACK, "1.3.0 was rolled back"),
    ]
    name, target, stable, *_ = kube("get", "modelroutes").splitlines()[1].split()
    assert (name, target, stable) == (NAME, "1.3.0", str(releases.ledger[-1].table.stable)) == (NAME, "1.3.0", "1.1.0")
    listed = kube("get", "modelrouterevisions", "-o", "name").split()
    assert sorted(listed) == sorted(f"modelrouterevision.fairlead.dev/{NAME}-{one.seq}" for one in releases.ledger)
    assert "the chain holds" in releases.platform.fairlead("history", NAME, "--verify")


def test_a_new_image_for_the_stable_version_is_released_as_a_candidate(releases: Releases) -> None:
    platform, before = releases.platform, releases.platform.status(NAME)["stable"]
    edited = {**VALUES["versions"], "1.1.0": {"image": {"tag": "1.0.0"}}}
    strategy = {"steps": [{"weight": 5000, "minDuration": "1s"}], "minRequests": 0}
    platform.deploy(NAME, {**VALUES, "target": "1.1.0", "versions": edited, "strategy": strategy})
    platform.fairlead("wait", NAME, "--timeout", "2m")
    after = platform.status(NAME)["stable"]
    assert after["version"] == before["version"] == "1.1.0"
    assert after["identity"] != before["identity"]
    # The version before is not in the spec any more. It stays as long as a rollback can return to it.
    running = platform.kube("get", "deployments", "-o", "name")
    assert f"{NAME}-{before['identity']}" in running
    assert f"{NAME}-{after['identity']}" in running


def test_a_version_whose_model_cannot_be_loaded_is_rejected_in_seconds_with_its_sentence(
    releases: Releases, findings: Findings
) -> None:
    platform = releases.platform
    versions = {**VALUES["versions"], "1.4.0": UNLOADABLE}
    strategy = {**VALUES["strategy"], "warmUp": {"deadline": "10m"}}
    began = time.monotonic()
    platform.deploy(NAME, {**VALUES, "target": "1.4.0", "versions": versions, "strategy": strategy})
    platform.fairlead("wait", NAME, "--timeout", "2m", expect=ROLLED_BACK)
    took = time.monotonic() - began
    what = "the model of a new version cannot be loaded: helm upgrade -> rejected with its sentence, s"
    findings.claim(what, f"at most {MAX_REJECTED_S}", f"{took:.0f}", took <= MAX_REJECTED_S)
    rejected = {one["ref"]["version"]: one["reason"] for one in platform.status(NAME)["rejected"]}
    assert "1.4.0 cannot be loaded: doubler 1.1.0: load failed: RuntimeError: no weights" in rejected["1.4.0"]
    (pod, *_) = platform.of_version("pods", NAME, "1.4.0")
    described = functools.partial(platform.kube, "describe", "pod", pod["metadata"]["name"])
    wait_until(lambda: "no weights" in described(), "the pod tells it too, once the kubelet has reported its end")
    assert took <= MAX_REJECTED_S
