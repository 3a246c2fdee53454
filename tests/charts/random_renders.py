"""Renders random values, and checks the objects: their schemas, and what they say of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charts.random_values import models, platforms
from charts.schemas import VERSIONS, complaints
from fairlead.contracts.route import RouteSpec
from support.helm import Object, Rendered, find_helm, pod_of, render

BATCH = 10
"""Number of values documents that one example renders in parallel."""
CLAIMS_SINCE = "1.34"
"""The first release of Kubernetes that has claims for devices."""


def random_renders(chart: str, examples: int) -> Counter[str]:
    """Render and check so many batches of a chart. Returns how many renders had each part. Raises AssertionError."""
    found: Counter[str] = Counter()

    # A failing example prints its values; shrinking it would take minutes.
    @settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(st.lists({"model": models(), "platform": platforms()}[chart], min_size=BATCH, max_size=BATCH))
    def check(documents: list[dict[str, Any]]) -> None:
        for values, rendered in zip(documents, all_rendered(chart, documents), strict=True):
            check_rendered(rendered)
            if chart == "model":
                check_route(values, rendered)
            found.update({f"renders of charts/{chart}", *parts(rendered)})

    check()
    return found


def check_route(values: Mapping[str, Any], rendered: Rendered) -> None:
    """The route has a Deployment for each version, by the name that the store expects."""
    spec = RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
    assert {f"{spec.model}-{one.ref(name).identity}" for name, one in spec.versions.items()} == {
        one["metadata"]["name"] for one in rendered.of("Deployment")
    }
    assert spec.target.version == values["target"]


def parts(rendered: Rendered) -> Iterator[str]:
    """Which parts of the charts these objects show."""
    for kind in ("ScaledObject", "HorizontalPodAutoscaler", "ResourceClaimTemplate", "HTTPRoute", "Certificate"):
        if rendered.of(kind):
            yield kind
    for kind in ("PodMonitor", "PrometheusRule", "Ingress", "NetworkPolicy", "PodDisruptionBudget"):
        if rendered.of(kind):
            yield kind
    for one in rendered.of("Deployment"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        if source := labels.get("fairlead.dev/source"):
            yield f"source.kind: {source}"
        if one["metadata"]["labels"].get("fairlead.dev/scaled-by") == "control-plane":
            yield "autoscaling.kind: managed"
        volumes = {volume["name"] for volume in pod_of(one)["volumes"]}
        yield from (part for name, part in (("cache", "source.cache"), ("tls", "tls")) if name in volumes)
        affinity = str(pod_of(one).get("affinity", ""))
        if any(word in affinity for word in ("gpu", "accelerator", "instance-type")):
            yield "a GPU pool"
    if any("minInstances" in str(one["spec"]) for one in rendered.of("ModelRoute")):
        yield "minInstances: 0"


def all_rendered(chart: str, documents: list[dict[str, Any]]) -> list[Rendered]:
    find_helm()
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda values: render(chart, values), documents))


_releases_between = cycle(VERSIONS[1:-1])


def check_rendered(rendered: Rendered) -> None:
    """Validates against the oldest release, the newest, and one of the others in turn."""
    claims = bool(rendered.of("ResourceClaimTemplate"))  # the chart refuses them before 1.34
    for release in (VERSIONS[0], next(_releases_between), VERSIONS[-1]):
        if not claims or float(release) >= float(CLAIMS_SINCE):
            assert [complaint for one in rendered.objects for complaint in complaints(one, release)] == []
    names = [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]
    assert len(names) == len(set(names))
    for deployment in rendered.of("Deployment"):
        check_references(deployment, rendered)


def check_references(deployment: Object, rendered: Rendered) -> None:
    """Selectors match the Deployment's pods, and the names in it refer to existing objects."""
    template = deployment["spec"]["template"]
    pod, labelled = template["spec"], template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labelled.items()
    assert pod["terminationGracePeriodSeconds"] > 0
    mounted = {mount["name"] for one in pod["containers"] for mount in one.get("volumeMounts", [])}
    assert mounted - {"more"} <= {volume["name"] for volume in pod["volumes"]}
    scalers = [
        one["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for one in rendered.of(kind)
    ]
    if deployment["metadata"]["name"] in scalers or "fairlead.dev/scaled-by" in deployment["metadata"]["labels"]:
        assert "replicas" not in deployment["spec"]
    templates = {one["metadata"]["name"] for one in rendered.of("ResourceClaimTemplate")}
    assert {one["resourceClaimTemplateName"] for one in pod.get("resourceClaims", [])} <= templates
    [service] = [one for one in rendered.of("Service") if one["spec"]["selector"].items() <= labelled.items()]
    opened = [port for one in pod["containers"] for port in one.get("ports", [])]
    ports = {port["name"] for port in opened} | {port["containerPort"] for port in opened}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
