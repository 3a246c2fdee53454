"""Random values: the rendered objects are valid in every supported Kubernetes, and refer to each other correctly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charts.sample import ARTIFACT, DIGEST, IRIS
from charts.schemas import VERSIONS, complaints
from fairlead.contracts.route import RouteSpec
from support.helm import Object, Rendered, find_helm, render

BATCH = 10
"""Number of values documents that one example renders in parallel."""
EXAMPLES = 11
"""2 charts x 11 examples x 10 documents: 220 renders."""
WITHOUT_SCHEMA = ("monitoring.coreos.com", "gateway.networking.k8s.io", "cert-manager.io")
"""API groups without a published schema here; test_values.py and test_platform.py check their objects."""

RANDOM = settings(
    max_examples=EXAMPLES,
    # A failing example prints its values; shrinking it would take minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# YAML would read some of these as booleans or null: every template must quote the names that users set.
words = st.from_regex(r"[a-z][a-z0-9-]{0,12}[a-z0-9]", fullmatch=True) | st.sampled_from(["off", "no", "true", "null"])
versions = st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}(\.[0-9]{1,3})?(-rc\.[0-9])?", fullmatch=True)
counts = st.integers(0, 40) | st.sampled_from(["0%", "25%", "100%"])
seconds = st.integers(1, 600)
durations = st.sampled_from(["500ms", "1s", "2.5s", "9s500ms"])
labels = st.dictionaries(words, words, max_size=3)
images = st.fixed_dictionaries(
    {},
    optional={
        "repository": st.just("team/iris"),
        "tag": st.just("v1"),
        "digest": st.sampled_from(["", DIGEST]),
        "pullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never"]),
    },
)
budgets = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "maxUnavailable": counts,
        "minAvailable": st.none() | counts,
        "unhealthyPodEvictionPolicy": st.sampled_from(["AlwaysAllow", "IfHealthyBudget"]),
    },
)
scaling = st.fixed_dictionaries(
    {"kind": st.sampled_from(["none", "hpa", "external"]), "maxInstances": st.integers(64, 100)},
    optional={
        "cpuPercent": st.integers(1, 200),
        "metrics": st.just([{"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization"}}}]),
        "behavior": st.just({}),
    },
)
rolling = st.fixed_dictionaries(
    {},
    optional={
        "maxSurge": counts,
        "maxUnavailable": counts,
        "minReadySeconds": st.integers(0, 60),
        "historyLimit": st.integers(0, 10),
    },
)
pod_values = {
    "nodeSelector": labels,
    "tolerations": st.lists(st.just({"key": "pool", "operator": "Exists"}), max_size=2),
    "affinity": st.just(
        {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}}
    ),
    "topologySpread": st.lists(st.fixed_dictionaries({"topologyKey": words}), max_size=2),
    "priorityClassName": words,
    "runtimeClassName": words,
    "schedulerName": words,
    "podLabels": labels,
    "podAnnotations": labels,
    "podSecurityContext": st.just({"runAsUser": 1000}),
    "extraEnv": st.lists(
        st.fixed_dictionaries({"name": words, "value": st.sampled_from(["", "1", "true"])}), max_size=2
    ),
    "extraVolumes": st.just([{"name": "more", "configMap": {"name": "more"}}]),
    "extraVolumeMounts": st.just([{"name": "more", "mountPath": "/more"}]),
    "initContainers": st.just([{"name": "first", "image": "example/first:1"}]),
    "hostAliases": st.lists(st.just({"ip": "10.0.0.5", "hostnames": ["a.internal"]}), max_size=2),
    "dnsPolicy": st.sampled_from(["", "Default", "ClusterFirst"]),
    "dnsConfig": st.just({"options": [{"name": "ndots", "value": "2"}]}),
    "rollingUpdate": rolling,
    "podDisruptionBudget": budgets,
    "autoscaling": scaling,
    "resources": st.just({"limits": {"nvidia.com/gpu": 1, "memory": "2Gi"}}),
}
workloads = st.fixed_dictionaries(
    {},
    optional={
        **pod_values,
        "instances": st.integers(1, 64),
        "serving": st.fixed_dictionaries({}, optional={"queueBytes": st.integers(1 << 26, 1 << 33)}),
        "startup": st.fixed_dictionaries({"budgetSeconds": st.integers(1, 86400), "periodSeconds": st.integers(1, 60)}),
        "drain": st.fixed_dictionaries({"preStopSeconds": st.integers(0, 60), "propagationSeconds": seconds}),
        "scratch": st.fixed_dictionaries(
            {"sizeLimit": st.sampled_from(["64Mi", "2Gi"]), "medium": st.sampled_from(["", "Memory"])}
        ),
        "sharedMemory": st.sampled_from(["", "256Mi"]),
        "extraEnvFrom": st.just([{"secretRef": {"name": "secret"}}]),
        "extraPorts": st.just(
            [{"name": "grpc", "port": 9000}, {"name": "dns", "port": 53, "servicePort": 5353, "protocol": "UDP"}]
        ),
        "extraContainers": st.just([{"name": "sidecar", "image": "example/sidecar:1"}]),
    },
)
sources = st.sampled_from(
    [
        {},
        {"source": {"kind": "baked"}, "artifact": ARTIFACT},
        {"source": {"kind": "init", "uri": "https://models.example.com/iris.tar.gz"}, "artifact": ARTIFACT},
        {
            "source": {"kind": "init", "uri": "s3://bucket/iris", "fetcher": {"image": "aws:1", "args": ["a"]}},
            "artifact": ARTIFACT,
        },
    ]
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Values of charts/model."""
    named = draw(st.lists(versions, min_size=1, max_size=4, unique=True))
    return {
        "model": draw(words),
        "target": draw(st.sampled_from(named)),
        "versions": {
            name: {**draw(sources), "image": draw(images), "overrides": draw(st.just({}) | workloads)} for name in named
        },
        "workload": draw(workloads),
        "sticky": draw(st.none() | st.just({"header": "x-session"})),
        "timeouts": {"request": "10s", "perTry": draw(st.none() | durations)},
        "idempotent": draw(st.booleans()),
        "mirrors": [{"version": named[0], "share": draw(st.integers(1, 10_000))}] if draw(st.booleans()) else [],
        "strategy": {
            "steps": [{"weight": weight} for weight in sorted(draw(st.sets(st.integers(1, 10_000), max_size=5)))],
            "rollbackWindow": draw(durations),
        },
        "networkPolicy": {
            "enabled": draw(st.booleans()),
            "extraEgress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
        "tls": draw(st.just({}) | st.fixed_dictionaries({"secretName": words, "alsoPlain": st.booleans()})),
        "serviceAccount": {"create": draw(st.booleans()), "name": draw(st.sampled_from(["", "shared"]))},
        "commonLabels": draw(labels),
        "commonAnnotations": draw(labels),
    }


@st.composite
def platforms(draw: st.DrawFn) -> dict[str, Any]:
    """Values of charts/platform."""
    part = {name: strategy for name, strategy in pod_values.items() if name != "autoscaling"}
    return {
        "controlPlane": draw(
            st.fixed_dictionaries(
                {}, optional={**part, "replicas": st.integers(1, 9), "preStopSeconds": st.integers(0, 9)}
            )
        ),
        "gateway": {
            **draw(
                st.fixed_dictionaries(
                    {}, optional={**pod_values, "replicas": st.integers(1, 60), "concurrency": st.integers(1, 64)}
                )
            ),
            "service": draw(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"])},
                    optional={
                        "nodePort": st.sampled_from([0, 30080]),
                        "externalTrafficPolicy": st.sampled_from(["Cluster", "Local"]),
                        "loadBalancerClass": words,
                        "loadBalancerSourceRanges": st.just(["10.0.0.0/8"]),
                    },
                )
            ),
            "ingress": draw(
                st.fixed_dictionaries(
                    {"enabled": st.booleans(), "hosts": st.just(["a.example"])},
                    optional={"className": words, "tlsSecretName": words, "annotations": labels},
                )
            ),
        },
        "roles": {"create": draw(st.booleans()), "viewers": [{"kind": "Group", "name": "a:b"}]},
        "rbac": {"create": draw(st.booleans())},
        "networkPolicy": {
            "enabled": draw(st.booleans()),
            "clients": draw(st.just([]) | st.just([{"podSelector": {}}])),
        },
        "tls": draw(
            st.fixed_dictionaries(
                {"mode": st.sampled_from(["off", "cert-manager", "secrets"]), "toModels": st.booleans()},
                optional={"certManager": st.just({"issuerName": "null", "issuerKind": "ClusterIssuer"})},
            )
        )
        | {"secretNames": {"gateway": draw(words), "controlPlane": draw(words)}},
        "imagePullSecrets": [{"name": "registry"}],
        "commonLabels": draw(labels),
    }


def all_rendered(chart: str, documents: list[dict[str, Any]]) -> list[Rendered]:
    find_helm()
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda values: render(chart, values), documents))


_releases_between = cycle(VERSIONS[1:-1])


def check_rendered(rendered: Rendered) -> None:
    """Validates against the oldest release, the newest, and one of the others in turn."""
    ours = [one for one in rendered.objects if not one["apiVersion"].startswith(WITHOUT_SCHEMA)]
    for release in (VERSIONS[0], next(_releases_between), VERSIONS[-1]):
        found = [complaint for one in ours for complaint in complaints(one, release)]
        assert found == []
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
    scalers = [one["spec"]["scaleTargetRef"]["name"] for one in rendered.of("HorizontalPodAutoscaler")]
    if deployment["metadata"]["name"] in scalers:
        assert "replicas" not in deployment["spec"]
    [service] = [one for one in rendered.of("Service") if one["spec"]["selector"].items() <= labelled.items()]
    opened = [port for one in pod["containers"] for port in one.get("ports", [])]
    ports = {port["name"] for port in opened} | {port["containerPort"] for port in opened}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.timeout(600)
@RANDOM
@given(st.lists(models(), min_size=BATCH, max_size=BATCH))
def test_random_values_of_a_model_render_valid_objects(documents: list[dict[str, Any]]) -> None:
    for values, rendered in zip(documents, all_rendered("model", documents), strict=True):
        check_rendered(rendered)
        spec = RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
        assert {f"{spec.model}-{one.ref(name).identity}" for name, one in spec.versions.items()} == {
            one["metadata"]["name"] for one in rendered.of("Deployment")
        }
        assert spec.target.version == values["target"]


@pytest.mark.timeout(600)
@RANDOM
@given(st.lists(platforms(), min_size=BATCH, max_size=BATCH))
def test_random_values_of_a_platform_render_valid_objects(documents: list[dict[str, Any]]) -> None:
    for rendered in all_rendered("platform", documents):
        check_rendered(rendered)


@pytest.mark.parametrize("release", VERSIONS)
def test_the_defaults_are_valid_for_every_supported_release(release: str) -> None:
    for rendered in (render("model", IRIS), render("platform")):
        assert [complaint for one in rendered.objects for complaint in complaints(one, release)] == []


def test_the_schemas_find_what_a_release_would_reject() -> None:
    deployment = render("model", IRIS).of("Deployment")[0]
    assert complaints({**deployment, "spec": {**deployment["spec"], "replica": 2}}, VERSIONS[0])
    assert complaints({**deployment, "spec": {**deployment["spec"], "replicas": "2"}}, VERSIONS[-1])


def test_an_account_whose_name_yaml_reads_as_a_boolean_keeps_its_name() -> None:
    rendered = render("platform", {"controlPlane": {"serviceAccount": {"name": "off"}}})
    [binding] = [one for one in rendered.of("RoleBinding") if one["subjects"][0].get("name") == "off"]
    assert binding["subjects"][0]["kind"] == "ServiceAccount"
    assert rendered.one("ServiceAccount", "off")["metadata"]["name"] == "off"
    pods = [one["spec"]["template"]["spec"] for one in rendered.of("Deployment")]
    assert "off" in [pod["serviceAccountName"] for pod in pods]
