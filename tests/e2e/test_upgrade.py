"""Every chart is upgraded from the landed state, and rolled back, under load and in the middle of a rollout.

Of the landed state are the charts, so every rendered object, the kinds and their policies (tests/support/landed.py);
and, if the repository's history is here, the images of control plane and model (landed_images.py). Without the history
these images are of this tree, under another tag. The gateway's image is Envoy in both, so it is only retagged. A new
tag replaces every pod of the platform, also if the charts do not differ.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.contracts.revision import Cause, Revision
from support import landed, landed_images
from support.cluster import images
from support.cluster.installed import MODEL, PLATFORM, Installed, install_crds, installed
from support.cluster.lifecycle import Cluster
from support.load.summary import Summary
from support.proof import Findings

pytestmark = pytest.mark.skipif(not FULL, reason="the platform is installed, upgraded and rolled back: three minutes")

NAME = "iris-upgraded"
RATE = 200
TAG = "landed"
VERSIONS = ("1.0.0", "1.1.0")
INSTANCES = 2
"""Set by hand, as an autoscaler would: the charts know nothing of it."""
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    # A user's model images stay what they are when the platform is upgraded.
    "versions": {version: {"image": {"tag": f"{TAG}-{version}"}} for version in VERSIONS},
    "strategy": {
        "steps": [{"weight": weight, "minDuration": "1s", "approval": True} for weight in (1000, 5000, 9000)],
        "minRequests": 0,
    },
    "workload": {**MODEL["workload"], "autoscaling": {"kind": "external"}},
}
OLD_PLATFORM: dict[str, Any] = {
    part: {**values, "image": {"tag": TAG}} for part, values in PLATFORM.items()
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """The model after one step of the upgrade."""

    weight: int
    replicas: dict[str, int]
    templates: dict[str, str]
    """The pod template of each version, as JSON."""
    pods: dict[str, set[str]]
    """The uids of each version's pods."""
    verified: str
    """What `fairlead history --verify` says."""


@dataclass
class Upgrade:
    """What was seen after each step, by its name, and the load during all of them."""

    seen: dict[str, Seen] = field(default_factory=dict)
    ledger: list[Revision] = field(default_factory=list)
    summary: Summary | None = None


def load_landed_images(cluster: Cluster) -> str:
    """Put the images of both states on the node, the landed ones under their tag. Returns what these are."""
    built: list[bool] = []
    for source in ("control-plane", "envoy", *(f"iris:{version}" for version in VERSIONS)):
        name, archive = images.build(source)
        repository, _, version = name.rpartition(":")
        old = None if source == "envoy" else landed_images.build(source)
        cluster.load(old[1] if old else archive)
        cluster.name_image(old[0] if old else name, f"{repository}:{f'{TAG}-{version}' if 'model' in name else TAG}")
        cluster.load(archive)
        built += [] if source == "envoy" else [old is not None]
    return f"of {landed_images.commit()[:8]}" if all(built) else "of this tree: the repository's history is not here"


def remove_kinds(cluster: Cluster) -> None:
    """Remove what charts/crds installs, which `helm uninstall` leaves: the landed chart must find none."""
    kube = cluster.client()
    kube.helm("uninstall", "fairlead-crds", "--namespace=default", "--ignore-not-found")
    kube("delete", "customresourcedefinitions", "--selector=app.kubernetes.io/part-of=fairlead", "--ignore-not-found")


def look(platform: Installed) -> Seen:
    """The model as it is now, once every gateway serves its newest revision."""
    status = platform.wait_for(NAME, "the rollout is in its middle", candidate="1.1.0", phase="Canary")
    deployments = {version: platform.of_version("deployments", NAME, version) for version in VERSIONS}
    pods = {version: platform.of_version("pods", NAME, version) for version in VERSIONS}
    return Seen(
        weight=status["weight"],
        replicas={version: found[0]["spec"]["replicas"] for version, found in deployments.items()},
        templates={version: json.dumps(found[0]["spec"]["template"]) for version, found in deployments.items()},
        pods={version: {one["metadata"]["uid"] for one in found} for version, found in pods.items()},
        verified=platform.fairlead("history", NAME, "--verify"),
    )


@pytest.fixture(scope="module")
def halfway(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The landed charts, and a model of which 1.0.0 serves."""
    if cluster.plan is None:
        pytest.skip("this test removes the kinds first, and with them every route in the cluster of KUBECONFIG")
    print("the old images are", load_landed_images(cluster))
    remove_kinds(cluster)
    install_crds(cluster.client(), landed.chart("crds"))
    folder: Path = tmp_path_factory.mktemp("upgrade")
    old = landed.chart("platform")
    with installed(cluster, namespace, folder, OLD_PLATFORM, time.monotonic(), old) as platform:
        platform.deploy(NAME, VALUES, chart=landed.chart("model"))
        platform.kube("scale", "deployments", "--selector", f"fairlead.dev/model={NAME}", "--replicas", str(INSTANCES))
        platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
        platform.wait_ready()
        yield platform
        platform.kube.helm("uninstall", NAME)


@pytest.fixture(scope="module")
def upgraded(halfway: Installed, cluster: Cluster) -> Upgrade:
    """Kinds, platform and model are upgraded; the rollout gets its next step; model and platform are rolled back."""
    platform, found = halfway, Upgrade()
    released = {**VALUES, "target": "1.1.0"}
    steps: dict[str, Callable[[], object]] = {
        "kinds upgraded": lambda: install_crds(cluster.client()),
        "platform upgraded": lambda: platform.upgrade(PLATFORM),
        "model upgraded": lambda: platform.deploy(NAME, released),
        "approved": lambda: approve(platform, weight=9000),
        "model rolled back": lambda: platform.kube.helm("rollback", NAME),
        "platform rolled back": lambda: platform.kube.helm("rollback", "fairlead", "--wait", "--timeout=5m"),
    }
    with platform.load(NAME, rate=RATE, seconds=900) as load:
        load.wait_sent(RATE)
        platform.deploy(NAME, released, chart=landed.chart("model"))
        platform.wait_for(NAME, "the first step", candidate="1.1.0", weight=1000, within=120)
        approve(platform, weight=5000)
        found.seen["released"] = look(platform)
        for name, step in steps.items():
            step()
            found.seen[name] = look(platform)
            load.wait_sent(load.progress.sent + RATE)
        platform.fairlead("approve", NAME)
        platform.wait_for(NAME, "1.1.0 is promoted", stable="1.1.0", phase="Stable")
        load.wait_sent(load.progress.sent + RATE)
        load.stop()
        found.summary = load.result()
    found.ledger = platform.history(NAME)
    return found


def approve(platform: Installed, *, weight: int) -> None:
    platform.fairlead("approve", NAME)
    platform.wait_for(NAME, "the next step", candidate="1.1.0", weight=weight)


def test_no_request_fails_while_all_charts_are_upgraded_and_rolled_back(upgraded: Upgrade, findings: Findings) -> None:
    assert upgraded.summary is not None
    what = "every chart upgraded from the landed state and rolled back, amid a rollout: requests that failed"
    findings.claim(*no_failed_requests(what, upgraded.summary))
    findings.numbers["upgrade"] = upgraded.summary.to_json()
    assert upgraded.summary.failures == {}, upgraded.summary.samples
    assert set(upgraded.summary.by_version) == set(VERSIONS)


def test_the_rollout_stays_where_it_is_and_goes_on_when_it_is_approved_on_both_sides(upgraded: Upgrade) -> None:
    weights = [one.weight for one in upgraded.seen.values()]
    assert weights == [5000] * 4 + [9000] * 3
    # A new chart may write the spec in another way, which is a revision too, but none that changes who gets what.
    assert [weight for weight, _ in groupby(one.table.weight for one in upgraded.ledger)] == [0, 1000, 5000, 9000, 0]
    expected = {Cause.CREATED, Cause.RELEASED, Cause.PINNED, Cause.ACTION, Cause.STEP, Cause.SPEC, Cause.PROMOTED}
    assert {one.cause for one in upgraded.ledger} <= expected
    assert upgraded.ledger[-1].cause is Cause.PROMOTED


def test_the_chain_of_revisions_holds_after_every_step(upgraded: Upgrade) -> None:
    assert {name for name, one in upgraded.seen.items() if "the chain holds" not in one.verified} == set()


def test_no_step_touches_the_number_of_pods(upgraded: Upgrade) -> None:
    scaled = dict.fromkeys(VERSIONS, INSTANCES)
    assert [one.replicas for one in upgraded.seen.values()] == [scaled] * len(upgraded.seen)


def test_a_pod_of_a_model_is_replaced_only_if_the_new_chart_changes_its_template(upgraded: Upgrade) -> None:
    first = upgraded.seen["released"]
    for name, later in upgraded.seen.items():
        for version in VERSIONS:
            if later.templates[version] == first.templates[version]:
                assert later.pods[version] == first.pods[version], (name, version)
