"""Faults for `fairlead doctor`: each is planted, and taken back at the end of its block; with the line that is due."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

from fairlead.cli.doctor.kinds import (
    ACCOUNTS,
    BINDINGS,
    DAEMON_SETS,
    INGRESSES,
    LIMIT_RANGES,
    PRIORITY_CLASSES,
    QUOTAS,
    SCALED_OBJECTS,
    SERVICES,
)
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, ROUTES, Kind
from integration.kubernetes.doctor_changes import (
    answered,
    changed,
    conditions,
    created,
    deleted,
    exists,
    pods_with,
    upgraded,
)
from integration.kubernetes.doctor_world import (
    CONTROL_PLANE,
    DEFINITIONS,
    DIGEST,
    GATEWAY,
    IRIS,
    KEDA,
    NAMESPACE,
    PLATFORM,
    ROLES,
    SMALL,
    VERSIONS,
    World,
    version,
)
from support.cluster.certificates import Authority
from support.processes import wait_until

Fault = Callable[[World], Any]


@contextmanager
def without_keda(world: World) -> Iterator[None]:
    """The kind and all ScaledObjects are gone, as after `helm uninstall keda`."""
    world.kube("delete", "crd", KEDA["metadata"]["name"])
    try:
        yield
    finally:
        world.install_keda()
        world.helm("iris", "model", {**IRIS, "commonLabels": {"again": "yes"}})
        world.helm("iris", "model", IRIS)
        wait_until(lambda: exists(world, SCALED_OBJECTS, NAMESPACE, SECOND), "Helm has made them again")
        world.scale()


@contextmanager
def lease(world: World, **values: Any) -> Iterator[None]:
    world.write_lease(**values)
    try:
        yield
    finally:
        world.write_lease()


@contextmanager
def second_platform(world: World) -> Iterator[None]:
    world.helm("second", "platform", PLATFORM)
    try:
        yield
    finally:
        world.kube.helm("uninstall", "second", "--wait")


def in_the_model(world: World, **fields: Any) -> Any:
    name = version("1.0.0")
    [container] = world.api.get(DEPLOYMENTS, NAMESPACE, name)["spec"]["template"]["spec"]["containers"]
    return changed(world, DEPLOYMENTS, name, pods_with(containers=[{**container, **fields}]))


def without_a_field_of_the_kinds(world: World) -> Any:
    name = "modelroutes.fairlead.dev"
    crd = world.api.get(DEFINITIONS, "", name)
    versions = json.loads(json.dumps(crd["spec"]["versions"]))
    del versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["sticky"]["properties"]["header"]
    return changed(world, DEFINITIONS, name, {"spec": {"versions": versions}}, "")


def without_events(world: World) -> Any:
    rules = world.api.get(ROLES, NAMESPACE, CONTROL_PLANE)["rules"]
    return changed(world, ROLES, CONTROL_PLANE, {"rules": [one for one in rules if one["resources"] != ["events"]]})


def without_scaled_objects(world: World) -> Any:
    return upgraded(world, "fairlead", "platform", {**PLATFORM, "rbac": {"scaledObjects": False}}, PLATFORM)


def without_a_version(world: World) -> Any:
    fewer = {**IRIS, "versions": {"1.0.0": VERSIONS["1.0.0"]}}
    return upgraded(world, "iris", "model", fewer, IRIS)


def with_autoscaled_gateways(world: World) -> Any:
    gateway = {**SMALL, "autoscaling": {"kind": "hpa"}}
    return upgraded(world, "fairlead", "platform", {**PLATFORM, "gateway": gateway}, PLATFORM)


@contextmanager
def without_digests(world: World) -> Iterator[None]:
    world.helm("wine", "model", {**IRIS, "model": "wine", "versions": {"1.0.0": {}}})
    try:
        yield
    finally:
        world.kube.helm("uninstall", "wine")
        kept = "deployments,services,scaledobjects,networkpolicies,poddisruptionbudgets"
        world.kube("delete", kept, "--selector", "fairlead.dev/model=wine", "--ignore-not-found")


def without_tokens_of_gateways(world: World) -> Any:
    volumes = world.api.get(DEPLOYMENTS, NAMESPACE, GATEWAY)["spec"]["template"]["spec"]["volumes"]
    plain = [{"name": "token", "emptyDir": {}} if one["name"] == "token" else one for one in volumes]
    return changed(world, DEPLOYMENTS, GATEWAY, pods_with(volumes=plain))


@contextmanager
def an_ingress(world: World, key_of: str = "", **issued: Any) -> Iterator[None]:
    """An Ingress of the gateways, whose certificate is issued so, with the key of another one or its own."""
    authority = Authority(world.kube.kubeconfig.parent / "entry").create()
    certificate, key = authority.issue("entry", usages="serverAuth", **{"hosts": [HOST], "days": "90", **issued})
    if key_of:
        _, key = authority.issue(key_of)
    files = {"tls.crt": certificate, "tls.key": key}
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    secret = {"metadata": {"name": "entry-tls"}, "type": "kubernetes.io/tls", "data": data}
    backend = {"service": {"name": GATEWAY, "port": {"name": "http"}}}
    rule = {"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    body = {
        "metadata": {"name": GATEWAY, "labels": {labels.PART_OF: "fairlead"}},
        "spec": {"tls": [{"hosts": [HOST], "secretName": "entry-tls"}], "rules": [rule]},
    }
    with created(world, WHOLE_SECRETS, secret), created(world, INGRESSES, body):
        yield


def policy_without_deny(world: World) -> Any:
    return changed(world, BINDINGS, "fairlead-fencing", {"spec": {"validationActions": ["Audit"]}}, "")


def quota_without_room(world: World) -> Any:
    body = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": "4"}}}
    return created(world, QUOTAS, body)


def class_that_went(world: World) -> Any:
    undo = ExitStack()
    world.api.create(PRIORITY_CLASSES, "", {"metadata": {"name": "gone"}, "value": 5})
    undo.enter_context(changed(world, DEPLOYMENTS, version("1.0.0"), pods_with(priorityClassName="gone")))
    wait_until(lambda: not world.wrong(), "the pods have the class", within=60, every=0.5)
    world.api.delete(PRIORITY_CLASSES, "", "gone")
    return undo


SECRET = {"envFrom": [{"secretRef": {"name": "passwords"}}]}
CONFIG = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]}
TOO_LITTLE = {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]}
PAUSED = {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}}
OTHER_RELEASE = {"metadata": {"annotations": {"meta.helm.sh/release-name": "shop"}}}
HOST = "models.example.com"
WHOLE_SECRETS = Kind("/api/v1", "secrets", "Secret")
ENTRY = r"the certificate in the Secret entry-tls, of Ingress fairlead-gateway,"
FIRST, SECOND = version("1.0.0"), version("1.1.0")
UNKNOWN_VERSION = {"spec": {"versions": {"2.0.0": {"image": f"fairlead/model-iris@{DIGEST}"}}}}

FAULTS: dict[str, tuple[Fault, str]] = {
    "kinds of an earlier release": (
        without_a_field_of_the_kinds,
        "problem: the kinds of the cluster are older than this Fairlead: they have no "
        r"ModelRoute\.spec\.sticky\.header",
    ),
    "a policy that only audits": (
        policy_without_deny,
        "problem: the admission policy fairlead-fencing is bound without Deny, so it refuses nothing",
    ),
    "a policy without a binding": (
        lambda world: deleted(world, BINDINGS, "fairlead-people", ""),
        "problem: the admission policy fairlead-people has no binding, so nothing is checked",
    ),
    "two platforms": (
        second_platform,
        "problem: 2 platforms watch namespace doctor: fairlead-control-plane, second-control-plane",
    ),
    "a program of another release": (
        lambda world: changed(
            world, DEPLOYMENTS, CONTROL_PLANE, {"metadata": {"labels": {labels.APP_VERSION: "0.0.9"}}}
        ),
        r"warning: fairlead-control-plane is Fairlead 0\.0\.9, and this program is .*",
    ),
    "a leader that is gone": (
        lambda world: lease(world, seconds=1),
        r"problem: no control plane leads: fairlead-control-plane was renewed \d+ s ago",
    ),
    "a leader whose clock is ahead": (
        lambda world: lease(world, ahead=timedelta(minutes=5)),
        "problem: the clock of fairlead-control-plane-0, which leads, is (299|300|301) s ahead of the API server's",
    ),
    "a leader whose clock is behind": (
        lambda world: lease(world, ahead=timedelta(minutes=-5)),
        "problem: the clock of fairlead-control-plane-0, which leads, is (299|300|301) s behind the API server's",
    ),
    "a gateway with an old table": (
        lambda world: conditions(world, ROUTES, "iris", Programmed=(False, "fairlead-gateway-0 serves iris.3")),
        "problem: not every gateway has the newest table of iris: fairlead-gateway-0 serves iris.3",
    ),
    "no metrics": (
        lambda world: conditions(world, ROUTES, "iris", Counted=(False, "Prometheus does not answer")),
        "warning: the control plane has no metrics of iris: Prometheus does not answer",
    ),
    "a control plane without a token": (
        lambda world: changed(world, DEPLOYMENTS, CONTROL_PLANE, pods_with(automountServiceAccountToken=False)),
        "problem: the pods of fairlead-control-plane get no token of their ServiceAccount",
    ),
    "gateways without a token": (
        without_tokens_of_gateways,
        "problem: the pods of fairlead-gateway have no token with the audience fairlead-xds",
    ),
    "a model with a token": (
        lambda world: changed(world, DEPLOYMENTS, FIRST, pods_with(automountServiceAccountToken=True)),
        f"warning: the pods of {FIRST} may have a token for the API server",
    ),
    "a right that is missing": (
        without_events,
        "problem: the control plane fairlead-control-plane may not create events",
    ),
    "no rights on KEDA's kinds": (
        without_scaled_objects,
        "problem: the control plane fairlead-control-plane may not get, list, watch, patch, delete "
        r"scaledobjects\.keda\.sh",
    ),
    "a pod that no node takes": (
        lambda world: changed(world, DEPLOYMENTS, FIRST, pods_with(nodeSelector={"pool": "gpu"})),
        r"warning: iris 1\.0\.0: 1 of 1 pods are ready, and a new one is not: no node has pool=gpu; "
        "none of these nodes has that label",
    ),
    "a Service that selects nothing": (
        lambda world: changed(world, SERVICES, GATEWAY, {"spec": {"selector": {"app": "other"}}}),
        "problem: the Service fairlead-gateway has no ready endpoint, although the Deployment fairlead-gateway has "
        "ready pods",
    ),
    "a Service that is gone": (
        lambda world: deleted(world, SERVICES, GATEWAY),
        "problem: the gateways of fairlead-gateway have no Service",
    ),
    "a PriorityClass that is gone": (
        class_that_went,
        r"problem: iris 1\.0\.0 names the PriorityClass gone, which does not exist",
    ),
    "a Secret that is missing": (
        lambda world: in_the_model(world, **SECRET),
        r"problem: the pods of iris 1\.0\.0 name the Secret passwords, which does not exist in doctor",
    ),
    "a ConfigMap that is missing": (
        lambda world: in_the_model(world, **CONFIG),
        r"problem: the pods of iris 1\.0\.0 name the ConfigMap settings, which does not exist in doctor",
    ),
    "a ServiceAccount that is missing": (
        lambda world: deleted(world, ACCOUNTS, "iris"),
        r"problem: the pods of iris 1\.\d\.0 name the ServiceAccount iris, which does not exist in doctor",
    ),
    "a certificate that has ended": (
        lambda world: an_ingress(world, days="-1"),
        rf"problem: {ENTRY[:-1]} ended \d+ hours ago",
    ),
    "a certificate that ends soon": (
        lambda world: an_ingress(world, days="7"),
        rf"warning: {ENTRY[:-1]} ends in [67] days",
    ),
    "a certificate for another host": (
        lambda world: an_ingress(world, hosts=["other.example.com"]),
        rf"problem: {ENTRY} is not for models\.example\.com",
    ),
    "a certificate with the key of another": (
        lambda world: an_ingress(world, key_of="other"),
        rf"problem: {ENTRY} cannot be used: the key tls\.key is not the one of the certificate tls\.crt",
    ),
    "a quota without room": (
        quota_without_room,
        r"warning: the ResourceQuota pods refuses the next pod of iris 1\.\d\.0: pods: it needs 1 pods, and 0 pods is "
        "left",
    ),
    "a limit range that refuses": (
        lambda world: created(world, LIMIT_RANGES, {"metadata": {"name": "small"}, "spec": TOO_LITTLE}),
        r"problem: the LimitRange small refuses the next pod of iris 1\.\d\.0: its container model may have 16Mi of "
        "memory, and its limit is 512Mi of memory",
    ),
    "an image without a digest": (without_digests, r"warning: wine 1\.0\.0: the image has no digest"),
    "a version without a Deployment": (
        lambda world: changed(world, ROUTES, "iris", UNKNOWN_VERSION),
        r"warning: iris names version 2\.0\.0, and there is no Deployment iris-[0-9a-f]{10}",
    ),
    "a version that no spec names": (
        without_a_version,
        r"warning: iris 1\.1\.0 is in no `versions` of iris, and the route does not own it",
    ),
    "a route of two releases": (
        lambda world: changed(world, DEPLOYMENTS, SECOND, OTHER_RELEASE),
        "problem: 2 releases of Helm own parts of iris: iris, shop",
    ),
    "an old Kubernetes": (
        lambda world: answered(world, "/version", {"gitVersion": "v1.30.14"}),
        r"problem: .*1\.30.*",
    ),
    "KEDA that is gone": (
        without_keda,
        r"problem: KEDA is not installed, and it should scale iris 1\.0\.0, iris 1\.1\.0",
    ),
    "a paused autoscaler": (
        lambda world: changed(world, SCALED_OBJECTS, FIRST, PAUSED),
        r"warning: the ScaledObject of iris 1\.0\.0 is paused",
    ),
    "an autoscaler that uses its fallback": (
        lambda world: conditions(world, SCALED_OBJECTS, FIRST, Ready=(True, "ready"), Fallback=(True, "it is active")),
        r"warning: the ScaledObject of iris 1\.0\.0 uses its fallback",
    ),
    "an autoscaler that does not work": (
        lambda world: conditions(world, SCALED_OBJECTS, FIRST, Ready=(False, "no such target")),
        r"problem: the ScaledObject of iris 1\.0\.0 does not work: no such target",
    ),
    "an autoscaler that is gone": (
        lambda world: deleted(world, SCALED_OBJECTS, SECOND),
        r"problem: iris 1\.1\.0 has no ScaledObject, and KEDA should scale it",
    ),
    "an autoscaler without metrics": (
        with_autoscaled_gateways,
        "problem: the HorizontalPodAutoscaler fairlead-gateway does not scale: .*metrics.*",
    ),
    "network policies that nothing enforces": (
        lambda world: deleted(world, DAEMON_SETS, "calico-node", "kube-system"),
        r"warning: nothing that is known to enforce network policies runs, and there are \d of them",
    ),
}
