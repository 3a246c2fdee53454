"""Random values of charts/model and charts/platform, odd but legal, with every part that they can render."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from charts.autoscaled import EVERY_TARGET, PROMETHEUS
from charts.sample import ARTIFACT, DIGEST
from support.gpu_fleets import CLOUDS, machines, requests

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
by_keda = st.fixed_dictionaries(
    {"kind": st.just("keda"), "maxInstances": st.integers(64, 100), "prometheus": st.just(PROMETHEUS)},
    optional={
        "target": st.fixed_dictionaries({}, optional={name: st.just(one) for name, one in EVERY_TARGET.items()}),
        "wanted": st.booleans(),
        "fallback": st.fixed_dictionaries({"instances": st.none() | st.integers(1, 9)}),
        "triggers": st.just([{"type": "cron", "metadata": {"desiredReplicas": "2"}}]),
    },
)
of_a_model = scaling | by_keda | st.just({"kind": "managed"})
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
    "resources": st.sampled_from([{"limits": {"memory": "2Gi"}}, {"limits": {"nvidia.com/gpu": 1, "memory": "2Gi"}}]),
}
workloads = st.fixed_dictionaries(
    {},
    optional={
        **pod_values,
        "autoscaling": of_a_model,
        "instances": st.integers(1, 64),
        "serving": st.fixed_dictionaries({}, optional={"queueBytes": st.integers(1 << 26, 1 << 33)}),
        "startup": st.fixed_dictionaries({"budgetSeconds": st.integers(1, 86400), "periodSeconds": st.integers(1, 60)}),
        "drain": st.fixed_dictionaries({"preStopSeconds": st.integers(0, 60), "propagationSeconds": seconds}),
        "scratch": st.fixed_dictionaries(
            {"sizeLimit": st.sampled_from(["64Mi", "2Gi"]), "medium": st.sampled_from(["", "Memory"])}
        ),
        "sharedMemory": st.sampled_from(["", "256Mi"]),
        "evictable": st.booleans(),
        "extraEnvFrom": st.just([{"secretRef": {"name": "secret"}}]),
        "extraPorts": st.just(
            [{"name": "grpc", "port": 9000}, {"name": "dns", "port": 53, "servicePort": 5353, "protocol": "UDP"}]
        ),
        "extraContainers": st.just([{"name": "sidecar", "image": "example/sidecar:1"}]),
    },
)
sources: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"source": {"kind": "baked"}, "artifact": ARTIFACT},
        {"source": {"kind": "init", "uri": "https://models.example.com/iris.tar.gz"}, "artifact": ARTIFACT},
        {
            "source": {"kind": "init", "uri": "s3://bucket/iris", "fetcher": {"image": "aws:1", "args": ["a"]}},
            "artifact": ARTIFACT,
        },
        {
            "source": {"kind": "init", "uri": "https://a.example/iris.tar", "cache": {"hostPath": "/var/cache/a"}},
            "artifact": ARTIFACT,
        },
        {
            "source": {"kind": "init", "uri": "http://a.example/iris.tar", "cache": {"claim": "a", "size": "1Ti"}},
            "artifact": ARTIFACT,
        },
        {"source": {"kind": "image", "reference": f"a.example/iris@{DIGEST}", "path": "model", "featureGate": True}},
        {"source": {"kind": "pvc", "claim": "models", "path": "iris/1"}, "artifact": ARTIFACT},
    ]
)
claims = st.fixed_dictionaries(
    {"pool": st.sampled_from(["gfd", "gke", "eks-karpenter"]), "mode": st.just("dra")},
    optional={
        "count": st.integers(1, 8),
        "product": st.sampled_from(["l4", "h100"]),
        "memory": st.sampled_from(["16Gi", "40Gi"]),
    },
)


@st.composite
def gpus(draw: st.DrawFn) -> dict[str, Any]:
    """Values of `workload.gpu` that some machine of a cloud satisfies, or a claim."""
    if draw(st.integers(0, 2)) == 0:
        return draw(claims)
    chance, cloud = random.Random(draw(st.integers(0, 1 << 32))), draw(st.sampled_from(sorted(CLOUDS)))
    [one] = requests(chance, cloud, machines(chance, cloud, 4), 1)
    return one.values()


@st.composite
def pods_of_a_model(draw: st.DrawFn, count: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """`workload`, and as many `overrides`: without what the chart refuses."""
    common, overrides = draw(workloads), [draw(st.just({}) | workloads) for _ in range(count)]
    if draw(st.integers(0, 2)) == 0:  # versions that may be cold
        for one in (common, *overrides):
            one.pop("autoscaling", None)
        common |= {"minInstances": 0, "autoscaling": {"kind": "managed"}}
    if draw(st.booleans()):
        for one in (common, *overrides):
            one.pop("resources", None)
        for one in [common] if draw(st.booleans()) else overrides:
            one["gpu"] = draw(gpus())
    return common, overrides


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Values of charts/model."""
    named = draw(st.lists(versions, min_size=1, max_size=4, unique=True))
    workload, overrides = draw(pods_of_a_model(len(named)))
    return {
        "model": draw(words),
        "target": draw(st.sampled_from(named)),
        "versions": {
            name: {**draw(sources), "image": draw(images), "overrides": own}
            for name, own in zip(named, overrides, strict=True)
        },
        "workload": workload,
        "podMonitor": {"renderMode": draw(st.sampled_from(["never", "always"]))},
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


def _tls(mode: str) -> st.SearchStrategy[dict[str, Any]]:
    """The platform's TLS; without certificates the control plane has none."""
    how = ["off"] if mode == "off" else ["off", "both", "only"]
    return st.fixed_dictionaries(
        {"mode": st.just(mode), "toModels": st.booleans(), "controlPlane": st.sampled_from(how)},
        optional={"certManager": st.just({"issuerName": "null", "issuerKind": "ClusterIssuer"})},
    )


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
            "httpRoute": draw(
                st.fixed_dictionaries(
                    {"enabled": st.booleans(), "parentRefs": st.just([{"name": "public", "namespace": "infra"}])},
                    optional={"hostnames": st.just(["a.example"]), "annotations": labels},
                )
            ),
        },
        "roles": {"create": draw(st.booleans()), "viewers": [{"kind": "Group", "name": "a:b"}]},
        "rbac": {"create": draw(st.booleans())},
        "networkPolicy": {
            "enabled": draw(st.booleans()),
            "clients": draw(st.just([]) | st.just([{"podSelector": {}}])),
        },
        "tls": draw(st.sampled_from(["off", "cert-manager", "secrets"]).flatmap(_tls))
        | {"secretNames": {"gateway": draw(words), "controlPlane": draw(words)}},
        "podMonitor": {"renderMode": draw(st.sampled_from(["never", "always"]))},
        "monitoring": {"rules": {"renderMode": draw(st.sampled_from(["never", "always"]))}},
        "imagePullSecrets": [{"name": "registry"}],
        "commonLabels": draw(labels),
    }
