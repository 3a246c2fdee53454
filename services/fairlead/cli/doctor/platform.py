"""The platform: control plane, leader, gateways, clocks and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import fairlead
from fairlead.cli.doctor.finding import Check, Finding, NotChecked, problem, warning
from fairlead.cli.doctor.kinds import ACCOUNTS, SERVICES
from fairlead.cli.doctor.seen import (
    OURS,
    Seen,
    condition,
    moment,
    of_component,
    pod_spec,
    ready,
)
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import LEADERS, LEASES, Object, label, name_of
from fairlead.store.kubernetes.lease import DURATION_S

SKEW = timedelta(seconds=5)
"""Clocks may differ by this much: the API server says its time in whole seconds."""
_LATE = timedelta(seconds=5)
"""A Lease may be renewed so late: its writer tries every two seconds."""


def one_platform(seen: Seen) -> Iterator[Finding]:
    """One control plane, of one release."""
    found = of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE)
    where = f"in namespace {seen.namespace}"
    others = _from_elsewhere(seen)
    if not found and not others:
        yield problem(
            f"no control plane is installed {where}, and none of another namespace serves it",
            "nothing configures gateways, and no route gets a status",
            f"install the platform: helm install fairlead charts/platform --namespace {seen.namespace}; "
            "or list the namespace in `namespaces` of the platform that should serve it; or name the namespace that "
            "has it: --namespace NAME",
        )
    if not found and len(others) > 1:
        names = ", ".join(f"{release} of namespace {platform}" for platform, release in others)
        yield problem(
            f"{len(others)} platforms serve namespace {seen.namespace}: {names}",
            "the admission policies let none of them write here",
            "keep one: take the namespace out of `namespaces` of the others",
        )
    if found and others:
        names = ", ".join(dict.fromkeys(platform for platform, _ in others))
        yield problem(
            f"namespace {seen.namespace} has a platform, and that of namespace {names} serves it too",
            "each writes the ledger and the status of every route here, and neither can work",
            "keep one: uninstall the one here, or take the namespace out of `namespaces` of the other",
        )
    if len(found) > 1:
        yield problem(
            f"{len(found)} platforms watch namespace {seen.namespace}: {', '.join(sorted(map(name_of, found)))}",
            "each writes the ledger and the status of every route here, and neither can work",
            "keep one: helm uninstall the other release",
        )
    for one in found:
        version = label(one, labels.APP_VERSION)
        if version and version != fairlead.__version__:
            yield warning(
                f"{name_of(one)} is Fairlead {version}, and this program is {fairlead.__version__}",
                "they may not know each other's fields",
                "use the program of the platform's release, or upgrade the platform (docs/upgrade.md)",
            )


def _from_elsewhere(seen: Seen) -> list[tuple[str, str]]:
    """Namespace and release of each platform of another namespace that serves this one.

    Their charts create an account here; only a platform that may write here has a Lease.
    """
    found = list(seen.list(LEASES, LEADERS))
    with suppress(NotChecked):  # who may not list accounts still sees the Leases
        found += of_component(seen.list(ACCOUNTS, OURS), labels.COMPONENT_CONTROL_PLANE)
    return sorted({(_platform_of(one), label(one, labels.INSTANCE)) for one in found if _platform_of(one)})


def _platform_of(one: Object) -> str:
    return label(one, labels.PLATFORM)


def leader(seen: Seen) -> Iterator[Finding]:
    """One Lease, renewed a moment ago by the API server's clock, which also tells the clock of its writer."""
    parts = of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE)
    leases = seen.list(LEASES, LEADERS)
    for one in leases:
        if platform := _platform_of(one):
            yield from _of_lease(seen, one, label(one, labels.INSTANCE) + "-control-plane", platform)
    if not any(ready(one) for one in parts):
        return  # it is not installed or not ready, and other checks say so
    if all(_platform_of(one) for one in leases):
        yield problem(
            "no control plane has ever led here",
            "no route gets a status, and no rollout begins",
            f"read why: kubectl logs deployment/{name_of(parts[0])} --namespace {seen.namespace}",
        )
    for one in leases:
        if not _platform_of(one):
            yield from _of_lease(seen, one, name_of(parts[0]), seen.namespace)


def _of_lease(seen: Seen, lease: Object, part: str, platform: str) -> Iterator[Finding]:
    spec = lease.get("spec") or {}
    times = [moment(one["time"]) for one in lease["metadata"].get("managedFields") or () if one.get("time")]
    written = max(times, default=moment(lease["metadata"]["creationTimestamp"]))
    age = seen.server_time - written
    if not spec.get("holderIdentity") or age > timedelta(seconds=spec.get("leaseDurationSeconds", DURATION_S)) + _LATE:
        yield problem(
            f"no control plane leads: {name_of(lease)} was renewed {round(age.total_seconds())} s ago",
            "rollouts stand still, no table changes, and a fault of a version is not noticed; gateways go on serving",
            f"read why: kubectl logs deployment/{part} --namespace {platform}",
        )
        return
    # Its writer's clock at that moment, and the API server's: who reads the Lease later compares two clocks.
    ahead = moment(spec["renewTime"]) - written if spec.get("renewTime") else timedelta()
    if abs(ahead) > SKEW:
        yield problem(
            f"the clock of {spec['holderIdentity']}, which leads, is {_differs(ahead)} the API server's",
            "durations of steps and the ages that `fairlead status` shows are wrong by as much",
            "synchronize the clocks of the nodes (chrony, systemd-timesyncd)",
        )


def our_clock(seen: Seen) -> Iterator[Finding]:
    """The clock of this machine."""
    if abs(seen.ahead) > SKEW:
        yield warning(
            f"the clock of this machine is {_differs(seen.ahead)} the API server's",
            "an action that you ask for may expire before it is seen, and the ages that are shown are wrong",
            "synchronize the clock of this machine",
        )


def _differs(ahead: timedelta) -> str:
    return f"{abs(ahead).total_seconds():.0f} s {'ahead of' if ahead > timedelta() else 'behind'}"


def gateways(seen: Seen) -> Iterator[Finding]:
    """There are some, with a Service."""
    if not of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE):
        return
    found = of_component(seen.deployments, labels.COMPONENT_GATEWAY)
    if not found:
        yield problem(
            "the platform has no gateway",
            "no request reaches a model",
            "install the platform's chart again: helm upgrade RELEASE charts/platform",
        )
    there = {name_of(one) for one in of_component(seen.list(SERVICES, OURS), labels.COMPONENT_GATEWAY)}
    for one in found:
        if name_of(one) not in there:
            yield problem(
                f"the gateways of {name_of(one)} have no Service",
                "clients have no address for them",
                "install the platform's chart again: helm upgrade RELEASE charts/platform",
            )


def tables(seen: Seen) -> Iterator[Finding]:
    """What the control plane itself says of the gateways' tables, of routes and of metrics."""
    for one in seen.routes:
        name = name_of(one)
        programmed, counted = condition(one, "Programmed"), condition(one, "Counted")
        if programmed.get("status") == "False" and programmed.get("reason") != "NoGateway":
            yield problem(
                f"not every gateway has the newest table of {name}: {programmed.get('message')}",
                "some requests still follow the table before, and the rollout waits",
                f"fairlead status {name} --namespace {seen.namespace}",
            )
        if counted.get("status") == "False":
            yield warning(
                f"the control plane has no metrics of {name}: {counted.get('message')}",
                "a rollout gathers no evidence meanwhile, so its steps wait",
                "check prometheus.url of the platform's values, and its Prometheus (docs/metric-sources.md)",
            )
        for kind in ("Conflict", "Progressing"):
            found = condition(one, kind)
            if kind == "Conflict" and found.get("status") == "True" or found.get("reason") == "Unreadable":
                yield problem(
                    f"the route {name} is not followed: {found.get('message')}",
                    "the control plane ignores its spec",
                    f"correct the spec or delete the route: kubectl describe modelroute {name}",
                )


def tokens(seen: Seen) -> Iterator[Finding]:
    """Who has a token of a ServiceAccount, and who must have one."""
    for one in seen.deployments:
        spec, component = pod_spec(one), label(one, labels.COMPONENT)
        if component == labels.COMPONENT_CONTROL_PLANE and not spec.get("automountServiceAccountToken", True):
            yield problem(
                f"the pods of {name_of(one)} get no token of their ServiceAccount",
                "the API server refuses every request of the control plane",
                "set automountServiceAccountToken: true in the pods of its Deployment",
            )
        if component == labels.COMPONENT_GATEWAY and not _proves_itself(spec) and _asks_for_tokens(seen):
            yield problem(
                f"the pods of {name_of(one)} have no token with the audience fairlead-xds",
                "tables are only for gateways that prove which pod they are, so new ones never start",
                "install the platform's chart again, or set controlPlane.checkGatewayTokens: false",
            )
        if component == labels.COMPONENT_MODEL and spec.get("automountServiceAccountToken") is not False:
            yield warning(
                f"the pods of {name_of(one)} may have a token for the API server",
                "a model needs none, and code in a model could use it",
                "set automountServiceAccountToken: false in the pods, as the chart does",
            )


def _proves_itself(spec: Object) -> bool:
    sources = [
        one for volume in spec.get("volumes") or () for one in (volume.get("projected") or {}).get("sources", ())
    ]
    return any((one.get("serviceAccountToken") or {}).get("audience") == "fairlead-xds" for one in sources)


def _asks_for_tokens(seen: Seen) -> bool:
    parts = of_component(seen.deployments, labels.COMPONENT_CONTROL_PLANE)
    variables = [one for part in parts for each in pod_spec(part)["containers"] for one in each.get("env") or ()]
    return any(one["name"] == "FAIRLEAD_CHECK_GATEWAY_TOKENS" and one.get("value") == "true" for one in variables)


CHECKS = (
    Check("one control plane watches the namespace, of this release", one_platform),
    Check("a control plane leads, and its clock is right", leader),
    Check("the clock of this machine is right", our_clock),
    Check("there are gateways, with a Service", gateways),
    Check("gateways have the newest tables, routes are followed, and metrics arrive", tables),
    Check("who needs a token has one, and nobody else", tokens),
)
