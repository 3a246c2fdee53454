"""Every value is used: changing only that value changes the rendered objects. A typo is rejected with its path."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from charts.sample import FETCHED, IRIS, replaced, with_version
from support.helm import CHARTS, HelmFailed, Values, find_helm, notes, render

Path = tuple[str, ...]

_HPA = {"workload": {"autoscaling": {"kind": "hpa"}}}
_KEDA = {
    "workload": {"autoscaling": {"kind": "keda", "prometheus": {"serverAddress": "http://prometheus.monitoring:9090"}}}
}
_MAY_BE_COLD = {"workload": {"minInstances": 0, "autoscaling": {"kind": "managed"}}}
_GATEWAY_HPA = {"gateway": {"autoscaling": {"kind": "hpa"}}}
_LOAD_BALANCER = {"gateway": {"service": {"type": "LoadBalancer"}}}
_INGRESS = {"gateway": {"ingress": {"enabled": True, "hosts": ["models.example.com"]}}}
_CLIENTS = {"gateway": {"auth": {"secretName": "clients"}}}
_HTTP_ROUTE = {"gateway": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}}
_POD_MONITOR = {"podMonitor": {"renderMode": "always"}}
_RULES = {"monitoring": {"rules": {"renderMode": "always"}}}
_DASHBOARDS = {"monitoring": {"dashboards": {"enabled": True}}}
_PROMETHEUS = {"prometheus": {"url": "http://prometheus.monitoring:9090"}}

BASES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "model": [
        ("workload.autoscaling", _HPA),
        *(
            (f"workload.autoscaling.{name}", _KEDA)
            for name in ("target", "wanted", "prometheus", "fallback", "triggers", "behavior", "renderMode")
        ),
        ("scaleToZero", _MAY_BE_COLD),
        ("workload.minInstances", {"workload": {"autoscaling": {"kind": "managed"}}}),
        ("workload.gpu", {"workload": {"gpu": {"pool": "eks-karpenter"}}}),
        ("workload.gpu.slice", {"workload": {"gpu": {"pool": "gke"}}}),
        ("networkPolicy.fetchEgress", with_version("1.2.0", FETCHED)),
        ("tls.alsoPlain", {"tls": {"secretName": "iris-tls"}}),
        ("podMonitor", _POD_MONITOR),
    ],
    "platform": [
        ("gateway.tracing", {"gateway": {"tracing": {"endpoint": "http://collector.telemetry:4318"}}}),
        ("gateway.tls", {"gateway": {"tls": {"secretName": "entry"}}}),
        ("gateway.tls.certManager", {"gateway": {"tls": {"secretName": "", "certManager": {"issuerName": "public"}}}}),
        ("gateway.tls.nodePort", _LOAD_BALANCER),
        ("tls", {"tls": {"mode": "cert-manager"}}),
        ("tls.certManager.issuerKind", {"tls": {"certManager": {"issuerName": "company"}}}),
        ("tls.secretNames", {"tls": {"mode": "secrets", "secretNames": {"gateway": "one", "controlPlane": "two"}}}),
        ("gateway.autoscaling", _GATEWAY_HPA),
        ("gateway.service", _LOAD_BALANCER),
        ("gateway.ingress", _INGRESS),
        ("gateway.httpRoute", _HTTP_ROUTE),
        ("gateway.auth", _CLIENTS),
        ("podMonitor", _POD_MONITOR),
        ("monitoring.rules", _RULES),
        ("monitoring.dashboards", _DASHBOARDS),
        ("metricSource", _PROMETHEUS),
        ("prometheus", _PROMETHEUS),
    ],
}
"""Values that must be set so that the values below a path have an effect."""

OTHER_VALUES: dict[str, Any] = {
    "model": "other",
    "target": "1.1.0",
    "versions": {"1.0.0": {}},
    "image.requireDigest": None,  # it changes no object, it only rejects values: test_model.py
    "mirrors": [{"version": "1.1.0", "share": 100}],
    "sticky.header": "x-session",
    "timeouts.perTry": "3s",
    "strategy.warmUp.smoke": False,
    "strategy.shadow": {"share": 5000},
    "workload.autoscaling.kind": "external",
    "workload.minInstances": 0,
    "workload.autoscaling.metrics": [{"type": "Resource", "resource": {"name": "memory"}}],
    "workload.autoscaling.target.inFlight": 8,
    "workload.autoscaling.target.queue": "100ms",
    "workload.autoscaling.target.p95": "500ms",
    "workload.autoscaling.prometheus.serverAddress": "https://another.monitoring",
    "workload.autoscaling.prometheus.window": "30s",
    "workload.autoscaling.fallback.instances": 3,
    "workload.autoscaling.renderMode": "never",
    "workload.gpu.pool": "gke",
    "workload.gpu.product": "l4",
    "workload.gpu.memory": "20Gi",
    "workload.gpu.slice": "time-sliced",
    "workload.gpu.capacity": "spot",
    "workload.nodeSelector": {"pool": "cpu"},
    "workload.resources.limits.cpu": "2",
    "workload.scratch.medium": "Memory",
    "workload.scratch.sizeLimit": "2Gi",
    "workload.sharedMemory": "256Mi",
    "workload.podDisruptionBudget.minAvailable": 1,
    "gateway.podDisruptionBudget.minAvailable": 1,
    "controlPlane.podDisruptionBudget.minAvailable": 1,
    "gateway.autoscaling.kind": "external",
    "gateway.ingress.enabled": False,
    "gateway.httpRoute.enabled": False,
    "gateway.service.type": "NodePort",
    "gateway.service.externalTrafficPolicy": "Local",
    "gateway.service.nodePort": 30080,
    "gateway.accessLog": "failures",
    "gateway.tls.nodePort": 30443,
    "gateway.tls.plain": "open",
    "gateway.tracing.endpoint": "http://another.telemetry:4318",
    "gateway.tracing.sample": "2%",
    "tls.mode": "off",
    "namespaces": [{"name": "team-a"}],
    "quota": {"pods": 10},
    "gateway.corsOrigins": ["https://other.example"],
    "test.keySecretName": "a-key",
    "gateway.auth.secretName": "other-clients",
    "gateway.auth.secretKey": "clients",
    "gateway.image.digest": "sha256:" + "1" * 64,
    "controlPlane.image.digest": "sha256:" + "1" * 64,
    "podMonitor.interval": "1m",
    "prometheus.url": "https://another.monitoring",
    "prometheus.scrapeInterval": "30s",
    "podMonitor.renderMode": "never",
    "monitoring.rules.renderMode": "never",
    "monitoring.dashboards.enabled": False,
}
"""Another valid value for those whose type alone does not give one."""

BY_SCHEMA: dict[str, Any] = {
    "labels": {"team": "flowers"},
    "annotations": {"example.com/team": "flowers"},
    "names": [{"name": "registry"}],
    "environment": [{"name": "NUMBER", "value": "1"}],
    "environmentFrom": [{"secretRef": {"name": "secret"}}],
    "gpuPool": {"resource": "amd.com/gpu"},
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "volumes": [{"name": "more", "emptyDir": {}}],
    "volumeMounts": [{"name": "more", "mountPath": "/more"}],
    "containers": [{"name": "sidecar", "image": "example/sidecar:1"}],
    "policyRules": [{"ports": [{"port": 9090, "protocol": "TCP"}]}],
    "peers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
    "subjects": [{"kind": "Group", "name": "ml"}],
    "hostAliases": [{"ip": "10.0.0.5", "hostnames": ["features.internal"]}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "extraPorts": [{"name": "grpc", "port": 9000}],
    "authenticationRef": {"name": "prometheus"},
    "kedaTriggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}],
    "hpaMetrics": [{"type": "Resource", "resource": {"name": "memory"}}],
}


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf of the values, including empty maps and lists: its path and value."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from leaves(child, (*path, str(name)))
    else:
        yield path, node


@functools.cache
def schema_of(chart: str) -> dict[str, Any]:
    """The schema of all values of the chart."""
    whole: dict[str, Any] = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return whole


def schema_at(chart: str, path: Path) -> dict[str, Any]:
    """The schema of the value at this path."""
    whole = found = schema_of(chart)
    for name in path:
        found = resolved(whole, found)
        found = found.get("properties", {}).get(name) or found.get("additionalProperties") or {}
    return found


def resolved(whole: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for option in schema.get("anyOf", ()):
        if "$ref" in option:
            schema = option
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**whole["$defs"][name], "named": name} if name else schema


def other(chart: str, path: Path, value: Any) -> Any:
    """A valid value that differs from this one, or None if it would change no object."""
    if ".".join(path) in OTHER_VALUES:
        return OTHER_VALUES[".".join(path)]
    schema = schema_at(chart, path)
    schema = {**schema, **resolved(schema_of(chart), schema)}
    if schema.get("named") in BY_SCHEMA:
        return BY_SCHEMA[schema["named"]]
    if "enum" in schema:
        return next(one for one in schema["enum"] if one != value)
    return other_plain(path, value, schema.get("maximum"))


def other_plain(path: Path, value: Any, maximum: int | None) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value - 1 if value == maximum else value + 1
        case float():
            return value / 2
        case str() if value[-1:] in "smh" and value[:-1].isdigit():
            return f"{int(value[:-1]) + 1}{value[-1]}"
        case str() if value[-2:] in ("Mi", "Gi"):
            return f"{int(value[:-2]) + 1}{value[-2:]}"
        case str() if value[-1:] == "%" or value.isdigit() or value[:-1].isdigit():
            return "3"
        case str():
            return f"{value}x" if value else "other"
        case list():
            return other_list(path, value)
        case _:
            return {"other": "true"}


def other_list(path: Path, value: list[Any]) -> list[Any]:
    match path[-1]:
        case "steps" | "gates" | "topologySpread":
            return value[:1]
        case "extraObjects":
            return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra"}}]
        case "policies":
            return [{**value[0], "value": 2}]
        case "parentRefs":
            return [{"name": "another"}]
        case _:
            return [*value, "other"]


def merged(under: Values, over: Values) -> dict[str, Any]:
    both = dict(under)
    for name, value in over.items():
        old = both.get(name)
        both[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def base_of(chart: str, path: Path) -> dict[str, Any]:
    """The values with which the chart is rendered, so that the value at this path has an effect."""
    values: dict[str, Any] = IRIS if chart == "model" else {}
    for prefix, more in BASES[chart]:
        if ".".join(path).startswith(prefix):
            values = merged(values, more)
    return values


def every_value(chart: str) -> list[tuple[Path, Any]]:
    return list(leaves(yaml.safe_load((CHARTS / chart / "values.yaml").read_text())))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chart", ["model", "platform"])
def test_every_value_changes_what_is_rendered(chart: str) -> None:
    find_helm()
    render_cached = functools.cache(lambda text: render(chart, json.loads(text)))

    def unused(leaf: tuple[Path, Any]) -> str | None:
        path, value = leaf
        new = other(chart, path, value)
        if new is None:
            return None
        values = base_of(chart, path)
        current: Any = values
        for name in path:
            current = current.get(name) if isinstance(current, dict) else None
        if current == new:
            return f"{'.'.join(path)}: {new!r} is the same value"
        try:
            before, after = render_cached(json.dumps(values)), render(chart, replaced(values, path, new))
        except HelmFailed as error:
            return f"{'.'.join(path)}: {error}"
        return ".".join(path) if before.objects == after.objects else None

    with ThreadPoolExecutor(4) as pool:
        found = [name for name in pool.map(unused, every_value(chart)) if name]
    assert found == []


@pytest.mark.parametrize(
    ("chart", "values", "complaint"),
    [
        ("model", {"tarrget": "1.0.0"}, r"additional properties 'tarrget' not allowed"),
        ("model", {"workload": {"drian": {}}}, r"at '/workload': additional properties 'drian'"),
        ("model", {"workload": {"drain": {"preStop": 5}}}, r"at '/workload/drain': additional properties 'preStop'"),
        ("model", {"strategy": {"warmup": {}}}, r"at '/strategy': additional properties 'warmup'"),
        (
            "model",
            {"strategy": {"steps": [{"weight": 500, "minduration": "1m"}]}},
            r"at '/strategy/steps/0': additional properties 'minduration'",
        ),
        ("model", {"strategy": {"steps": [{"weight": 10001}]}}, r"at '/strategy/steps/0/weight': maximum"),
        (
            "model",
            {"strategy": {"gates": [{"name": "reddy"}]}},
            r'strategy\.gates\[0\]\.name: "reddy" is not a gate; write one of ready',
        ),
        (
            "model",
            {"strategy": {"gates": [{"name": "cost", "shift": 0.1}]}},
            r"strategy\.gates\[0\]\.shift: is no setting of the gate cost, which has ratio, weight; remove it",
        ),
        (
            "model",
            {"strategy": {"gates": [{"name": "custom-own", "limit": 0.1, "margin": 0.1}]}},
            r"gates\[0\]\.margin: is no setting of the gate custom-own with a limit, which has limit, promql, weight",
        ),
        (
            "model",
            {"strategy": {"gates": [{"name": "ready", "weight": 2}]}},
            r"gates\[0\]\.weight: is no setting of the gate ready, which has none; remove it",
        ),
        ("model", {"timeouts": {"request": "10 seconds"}}, r'timeouts\.request: "10 seconds" is not a duration; write'),
        ("model", {"sticky": {"header": "X-User"}}, r'sticky\.header: "X-User" is not a header name; write lower-case'),
        ("model", {"mirrors": [{"version": "1.1.0", "share": 0}]}, r"at '/mirrors/0/share': minimum"),
        (
            "model",
            {"versions": {"1.0.0": {"overrides": {"resourcez": {}}}}},
            r"at '/versions/1.0.0/overrides': additional properties 'resourcez'",
        ),
        (
            "model",
            {"versions": {"1.0.0": {"image": {"digest": "latest"}}}},
            r"1\.0\.0\.image\.digest: .* is not a digest",
        ),
        ("model", {"versions": {"1_0": {}}}, r'versions: the key "1_0" is not a version; write lower-case'),
        ("model", {"workload": {"serving": {"queueRow": 5}}}, r"at '/workload/serving': additional properties"),
        ("model", {"workload": {"instances": 0}}, r"at '/workload/instances': minimum"),
        ("model", {"workload": {"resources": {"limit": {}}}}, r"at '/workload/resources': additional properties"),
        ("platform", {"gateway": {"replica": 3}}, r"at '/gateway': additional properties 'replica'"),
        ("platform", {"gateway": {"service": {"type": "Public"}}}, r"at '/gateway/service/type'"),
        ("platform", {"roles": {"viewers": [{"kind": "Grp", "name": "a"}]}}, r"at '/roles/viewers/0/kind'"),
        ("platform", {"networkPolicies": {}}, r"additional properties 'networkPolicies' not allowed"),
    ],
)
def test_a_typo_fails_with_its_path(chart: str, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render(chart, merged(IRIS if chart == "model" else {}, values))


def test_notes_are_printed_for_both_charts() -> None:
    assert "helm -n default test iris" in notes("model", IRIS)
    assert "helm -n default test fairlead" in notes("platform", {})
