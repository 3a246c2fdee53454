"""The test cluster itself: one real node that runs real images, and fake nodes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from support.cluster.fake_nodes import TAINT
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.processes import wait_until

FLOWER = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
LABELS = {"app.kubernetes.io/name": "iris"}
# The security context of a model service: it can only compute and write to /tmp.
LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
ASK = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"content-type": "application/json"})
reply = urllib.request.urlopen(request, timeout=10)
print(json.dumps([reply.status, dict(reply.headers), json.load(reply)]))
"""


def model_deployment(image: str, replicas: int) -> dict[str, Any]:
    probe = {"periodSeconds": 1, "timeoutSeconds": 1}
    container = {
        "name": "model",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": {"httpGet": {"path": "/startupz", "port": "http"}, "failureThreshold": 60, **probe},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, **probe},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "http"}, **probe, "failureThreshold": 10},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": LOCKED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "iris", "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def service(name: str, **more: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 8080, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": LABELS, "ports": ports, **more},
    }


@pytest.fixture(scope="module")
def kube(cluster: Cluster, namespace: str, image: Callable[[str], str]) -> Client:
    """A client for two ready pods of iris 1.0.0, behind a Service with an address and a headless one."""
    client = cluster.client(namespace)
    client.apply(model_deployment(image("iris:1.0.0"), 2), service("iris"), service("iris-pods", clusterIP="None"))
    client("rollout", "status", "deployment/iris", "--timeout=90s")
    return client


def pods(kube: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kube.get("pods", "", "-l", "app.kubernetes.io/name=iris")["items"]
    return found


def run_python(kube: Client, program: str, *arguments: str) -> str:
    return kube("exec", "deployment/iris", "--", "/opt/fairlead/bin/python", "-c", program, *arguments).strip()


def test_the_node_is_ready(cluster: Cluster) -> None:
    nodes = cluster.client().get("nodes")["items"]
    ready = [
        condition["status"]
        for node in nodes
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    ]
    assert ready
    assert set(ready) == {"True"}


def test_a_model_service_passes_its_probes_as_a_user_without_rights(kube: Client) -> None:
    for pod in pods(kube):
        (status,) = pod["status"]["containerStatuses"]
        assert (status["ready"], status["started"], status["restartCount"]) == (True, True, 0)
    rights = run_python(kube, "import os; print(os.getuid(), os.access('/model', os.W_OK), os.access('/tmp', os.W_OK))")
    assert rights == "65532 False True"


@pytest.mark.parametrize("host", ["iris", "iris-pods"])
def test_a_pod_predicts_through_a_service(kube: Client, host: str) -> None:
    url = f"http://{host}.{kube.namespace}.svc.cluster.local.:8080/predict"
    status, headers, answer = json.loads(run_python(kube, ASK, url, json.dumps(FLOWER)))
    assert status == 200
    assert (headers["x-model-name"], headers["x-model-version"]) == ("iris", "1.0.0")
    assert answer["label"] == "setosa"


def test_a_headless_service_resolves_to_its_ready_pods(kube: Client) -> None:
    name = f"iris-pods.{kube.namespace}.svc.cluster.local."
    program = "import socket, sys; print(*sorted({row[4][0] for row in socket.getaddrinfo(sys.argv[1], 8080)}))"
    assert run_python(kube, program, name).split() == sorted(pod["status"]["podIP"] for pod in pods(kube))


def test_kubectl_logs_shows_the_log_of_a_pod(kube: Client) -> None:
    for pod in pods(kube):
        assert "listening" in kube("logs", pod["metadata"]["name"])


def test_a_pod_reaches_the_api_server(kube: Client) -> None:
    program = """
import os, ssl, urllib.error, urllib.request
address = "https://kubernetes.default.svc.cluster.local:443/readyz"
context = ssl._create_unverified_context()
print(urllib.request.urlopen(address, context=context, timeout=5).status)
"""
    assert run_python(kube, program) == "200"


def test_a_network_policy_is_accepted_and_a_malformed_one_is_not(kube: Client) -> None:
    policy: dict[str, Any] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "iris"},
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 8080}]}],
        },
    }
    kube.apply(policy)
    assert kube.get("networkpolicy", "iris")["spec"]["policyTypes"] == ["Ingress"]
    policy["spec"]["policyTypes"] = ["Sideways"]
    with pytest.raises(CommandFailed, match="Sideways"):
        kube.apply(policy)


def test_pods_survive_when_the_node_agent_is_killed(kube: Client, cluster: Cluster) -> None:
    if cluster.plan is None:
        pytest.skip("this test kills a component, which it must not do in the cluster of KUBECONFIG")
    before = {pod["metadata"]["name"]: pod["status"]["containerStatuses"] for pod in pods(kube)}
    killed = cluster.pid("kubelet")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: cluster.runs("kubelet") and cluster.pid("kubelet") != killed, "the kubelet is back")
    # Through the API server's proxy, which needs no kubelet: the kubelet needs seconds until it knows its pods again.
    path = f"/api/v1/namespaces/{kube.namespace}/services/iris:http/proxy/readyz"
    assert "ready" in kube("get", "--raw", path)
    after = {pod["metadata"]["name"]: pod["status"]["containerStatuses"] for pod in pods(kube)}
    assert after == before


def test_a_pod_that_requests_a_gpu_is_scheduled_on_the_node_that_has_one(cluster: Cluster, namespace: str) -> None:
    if cluster.plan is None:
        pytest.skip("the cluster of KUBECONFIG has no KWOK")
    accelerator = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    cluster.add_fake_node("fake-plain")
    cluster.add_fake_node("fake-gpu", labels=accelerator, capacity={"nvidia.com/gpu": "4"})
    kube = cluster.client(namespace)
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "trainer"},
            "spec": {
                "nodeSelector": accelerator,
                "tolerations": [{"key": TAINT["key"], "operator": "Exists"}],
                "containers": [
                    {"name": "model", "image": "never/pulled:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
                ],
            },
        }
    )
    pod = kube.wait("pod", "trainer", lambda pod: pod["status"].get("phase") == "Running", "Running")
    assert pod["spec"]["nodeName"] == "fake-gpu"
