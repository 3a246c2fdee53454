"""What users of the landed charts wrote still renders, and an upgrade changes nothing that must stay the same for ever.

tests/support/landed.py says what the landed state is, and tests/e2e/test_upgrade.py makes the upgrade in a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from charts.sample import IRIS
from fairlead.contracts.route import RouteSpec
from support import landed
from support.fleet import script
from support.helm import Object, render

Objects = Mapping[tuple[str, str], Object]
ENVIRONMENT = "prod"
NEEDED: Mapping[str, dict[str, Any]] = {"model": IRIS, "platform": {}, "crds": {}}
CHANGED_IN_PODS: set[str] = {
    "metadata.annotations.cluster-autoscaler.kubernetes.io/safe-to-evict",  # a node with local volumes may be removed
    # gke, on demand: not on preemptible nodes; pools for EKS: not on parts of an L4
    "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchExpressions",
    "spec.initContainers[].args[]",  # source.kind init: pods that waited for the cache copy from it side by side
}
"""Paths in the pods of a model that this tree's charts change, so that an upgrade of the model replaces its pods. The
changelog has a line about each."""


@pytest.fixture(scope="module")
def unpacked() -> Iterator[tuple[Path, Path]]:
    with TemporaryDirectory(prefix="landed-") as folder:
        yield landed.unpack(Path(folder))


@pytest.fixture(scope="module")
def upgrades(unpacked: tuple[Path, Path]) -> Mapping[str, tuple[Objects, Objects]]:
    """The objects of each release of the landed fleet: with the landed charts and with those of this tree."""
    charts, fleet = unpacked
    releases = script("list", folder=fleet).split()
    with ThreadPoolExecutor(2) as pool:
        before = pool.map(partial(rendered, fleet=fleet, charts=charts), releases)
        after = pool.map(partial(rendered, fleet=fleet), releases)
        return dict(zip(releases, zip(before, after, strict=True), strict=True))


def rendered(release: str, **where: Path) -> Objects:
    documents = yaml.safe_load_all(script("render", ENVIRONMENT, release, **_folders(where)))
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one}


def _folders(where: Mapping[str, Path]) -> dict[str, Path]:
    return {"folder": where["fleet"], **({"charts": where["charts"]} if "charts" in where else {})}


@pytest.mark.parametrize("chart", NEEDED)
def test_each_value_of_a_landed_chart_is_still_a_value(chart: str, unpacked: tuple[Path, Path]) -> None:
    """A values file is often a copy of the chart's own, with every value."""
    everything = yaml.safe_load((unpacked[0] / chart / "values.yaml").read_text())
    assert render(chart, {**everything, **NEEDED[chart]}).objects


def test_no_object_of_a_landed_release_has_another_name(upgrades: Mapping[str, tuple[Objects, Objects]]) -> None:
    """The name of a version's objects has its identity, so that is the same too."""
    for release, (before, after) in upgrades.items():
        assert set(before) - set(after) == set(), release


def test_no_selector_changes(upgrades: Mapping[str, tuple[Objects, Objects]]) -> None:
    """Kubernetes refuses to change that of a Deployment; that of a Service would leave pods without requests."""
    for release, (before, after) in upgrades.items():
        for name, one in before.items():
            if name[0] in ("Deployment", "Service"):
                assert after[name]["spec"]["selector"] == one["spec"]["selector"], (release, name)


def test_the_number_of_pods_is_written_by_the_same_side(upgrades: Mapping[str, tuple[Objects, Objects]]) -> None:
    """If Helm began to write it, or no longer did, an upgrade would reset what an autoscaler had decided."""
    for release, (before, after) in upgrades.items():
        for name, one in before.items():
            if name[0] == "Deployment":
                assert after[name]["spec"].get("replicas") == one["spec"].get("replicas"), (release, name)


def test_the_routes_that_landed_charts_render_are_read(upgrades: Mapping[str, tuple[Objects, Objects]]) -> None:
    routes = [one for before, _ in upgrades.values() for (kind, _), one in before.items() if kind == "ModelRoute"]
    assert len([RouteSpec.model_validate(one["spec"]) for one in routes]) == 12


def test_a_models_pods_change_only_where_it_is_listed_here(upgrades: Mapping[str, tuple[Objects, Objects]]) -> None:
    found = set[str]()
    for before, after in upgrades.values():
        for name, one in before.items():
            if name[0] == "Deployment" and any(kind == "ModelRoute" for kind, _ in before):
                found |= set(differing(one["spec"]["template"], after[name]["spec"]["template"]))
    assert found == CHANGED_IN_PODS


def differing(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """The paths below which two documents differ, without the numbers of a list's elements."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from differing(one.get(name), other.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for first, second in zip(one, other, strict=True):
            yield from differing(first, second, f"{path}[]")
    elif one != other:
        yield path
