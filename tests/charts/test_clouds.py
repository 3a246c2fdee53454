"""docs/clouds.md: the values of each cloud render to valid objects, and do what the page says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from charts.schemas import VERSIONS, complaints
from support.helm import ROOT, Object, container_of, pod_of, render

PAGE = (ROOT / "docs/clouds.md").read_text()
FILES: dict[str, Any] = {
    name: yaml.safe_load(text) for name, text in re.findall(r"```yaml\n# ([\w-]+\.yaml)\n(.*?)```", PAGE, re.DOTALL)
}
CLOUDS = ("gke", "eks", "aks")
SELECTS_PODS = ("PodMonitoring", "PodMonitor")
"""Kinds of the clouds' own collectors. Kubernetes has no schema for them."""


def platform(cloud: str) -> list[Object]:
    return render("platform", FILES[f"{cloud}-platform.yaml"], namespace="models").installed()


def model(cloud: str) -> list[Object]:
    return render("model", FILES[f"{cloud}-model.yaml"], release="iris", namespace="models").installed()


def one(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def test_the_page_has_both_files_of_every_cloud() -> None:
    assert {f"{cloud}-{chart}.yaml" for cloud in CLOUDS for chart in ("platform", "model")} <= FILES.keys()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_object_fits_the_schema_of_the_newest_kubernetes(cloud: str) -> None:
    found = [each for each in (*platform(cloud), *model(cloud)) if each["kind"] not in SELECTS_PODS]
    assert [error for each in found for error in complaints(each, VERSIONS[-1])] == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_gateway_is_behind_a_load_balancer_that_only_the_network_reaches(cloud: str) -> None:
    service = one(platform(cloud), "Service", "fairlead-gateway")
    assert service["spec"]["type"] == "LoadBalancer"
    assert [
        value.lower() for name, value in service["metadata"]["annotations"].items() if "target-type" not in name
    ] in (
        ["internal"],
        ["true"],
    )


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_collector_of_the_cloud_selects_the_pods_of_the_gateway(cloud: str) -> None:
    objects = platform(cloud)
    labels = one(objects, "Deployment", "fairlead-gateway")["spec"]["template"]["metadata"]["labels"]
    [collector] = [
        each for each in objects if each["kind"] in SELECTS_PODS and each["metadata"]["name"] == "fairlead-gateway"
    ]
    assert collector["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/component"] == "gateway"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_archive_of_the_bucket_is_verified_and_the_account_has_the_identity(cloud: str) -> None:
    objects = model(cloud)
    [deployment] = [each for each in objects if each["kind"] == "Deployment"]
    download, unpack = pod_of(deployment)["initContainers"]
    given = {each["name"]: each["value"] for each in unpack["env"]}
    assert (given["FAIRLEAD_SOURCE"], given["FAIRLEAD_SHA256"]) == ("", "0" * 64)
    assert "$(FAIRLEAD_SOURCE)" in [*download.get("command", []), *download.get("args", [])]
    assert container_of(deployment)["args"] == ["serve", "/fetched/model"]
    account = one(objects, "ServiceAccount", pod_of(deployment)["serviceAccountName"])
    assert len(account["metadata"]["annotations"]) == 1


@pytest.mark.parametrize(
    ("cloud", "address", "ports"),
    [
        ("gke", "169.254.169.254/32", [80, 8080]),
        ("gke", "169.254.169.252/32", [987, 988]),
        ("eks", "169.254.170.23/32", [80]),
    ],
)
def test_a_fetcher_may_ask_the_node_for_its_credentials(cloud: str, address: str, ports: list[int]) -> None:
    rules = one(model(cloud), "NetworkPolicy", "iris.fetch")["spec"]["egress"]
    [rule] = [each for each in rules if {"ipBlock": {"cidr": address}} in each.get("to", [])]
    assert [each["port"] for each in rule["ports"]] == ports


def test_a_pod_on_aks_has_the_label_that_asks_for_a_token() -> None:
    [deployment] = [each for each in model("aks") if each["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
