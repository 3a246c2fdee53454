"""Runs KEDA beside a cluster: its operator and its metrics adapter, as processes of this machine.

The operator reads metrics, for example from Prometheus, and makes a HorizontalPodAutoscaler of each ScaledObject. The
adapter serves the metrics to the cluster's own autoscaler, through the API server.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from support.cluster import external_metrics, programs
from support.cluster.certificates import Authority
from support.cluster.kubectl import CommandFailed
from support.cluster.layout import Layout
from support.cluster.lifecycle import Cluster
from support.processes import Child, free_ports

NAMESPACE = "keda"
CRDS, OPERATOR, ADAPTER = PROGRAMS = ("keda-crds.yaml", "keda-operator", "keda-adapter")
_SERVICE = "keda-metrics-apiserver"
_SET = "autoscaling-tools"


@dataclass(frozen=True)
class Keda:
    """KEDA's two processes. `kill` and `start` of either one are a fault and its end."""

    operator: Child
    adapter: Child


def not_built() -> str:
    """A message that names what is not built yet; empty if all is."""
    if names := programs.absent(PROGRAMS, _SET):
        return f"{', '.join(names)} not built yet; run ci/cluster-tools --set={_SET} (once)"
    return ""


def built() -> Path:
    """The folder with KEDA's programs. Builds the missing ones. Raises ProgramMissing."""
    return programs.built(PROGRAMS, _SET)


@contextlib.contextmanager
def running_keda(cluster: Cluster, folder: Path) -> Iterator[Keda]:
    """Run KEDA for a cluster that the tests have started. What was registered is removed after the block.

    ScaledObjects must be gone by then: KEDA's operator removes their finalizers, and their CRD waits for that.
    """
    if cluster.plan is None:
        raise CommandFailed("KEDA runs beside a cluster that the tests have started; KUBECONFIG names another one")
    tools = built()
    at = cluster.plan.host_address if cluster.plan.tier == "node" else cluster.plan.address
    certificates = _certificates(cluster.plan.certificates, folder, at)
    grpc, health, secure, plain = free_ports(4)
    kube = cluster.client(NAMESPACE)
    config = f"--kubeconfig={cluster.kubeconfig}"
    environment = {"WATCH_NAMESPACE": "", "POD_NAMESPACE": NAMESPACE, "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE}
    operator = Child(
        OPERATOR,
        [
            *(*_with_names_of(cluster.plan, folder), str(tools / OPERATOR)),
            *(config, f"--cert-dir={certificates}", "--metrics-bind-address=0"),
            *(f"--metrics-service-bind-address=127.0.0.1:{grpc}", f"--health-probe-bind-address=127.0.0.1:{health}"),
        ],
        log=folder / "keda-operator.log",
        env=environment,
    )
    adapter = Child(
        ADAPTER,
        [
            *(str(tools / ADAPTER), config, *(f"--{use}-kubeconfig={cluster.kubeconfig}" for use in _USES)),
            *(f"--bind-address={at}", f"--secure-port={secure}", f"--port={plain}", f"--cert-dir={certificates}"),
            *(f"--tls-cert-file={certificates}/tls.crt", f"--tls-private-key-file={certificates}/tls.key"),
            *(f"--client-ca-file={certificates}/ca.crt", f"--metrics-service-address=127.0.0.1:{grpc}"),
        ],
        log=folder / "keda-adapter.log",
        env=environment,
    )
    cluster.client("default").apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    with contextlib.ExitStack() as undo:
        undo.callback(kube, "delete", "namespace", NAMESPACE, "--wait=false")
        kube("apply", "--server-side", "-f", str(tools / CRDS))
        undo.callback(kube, "delete", "-f", str(tools / CRDS), "--wait=false")
        undo.enter_context(external_metrics.registered(kube, _SERVICE, at, secure, certificates / "ca.crt"))
        undo.enter_context(operator)
        operator.wait_until(lambda: _is_ready(health), "KEDA's operator is ready")
        undo.enter_context(adapter)
        external_metrics.wait_until_served(kube)
        yield Keda(operator, adapter)


_USES = ("lister", "authentication", "authorization")


def _with_names_of(plan: Layout, folder: Path) -> list[str]:
    """What runs a command so that the names of the cluster's Services are known to it. Without a node they have no
    server of names."""
    if plan.tier != "node":
        return []
    names = folder / "resolv.conf"
    names.write_text(f"nameserver {plan.address}\n")
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(names)]


def _certificates(authority: Path, folder: Path, at: str) -> Path:
    """A folder with one certificate for both processes, as servers and as clients of each other."""
    names = ["localhost", *(f"{one}.{NAMESPACE}.svc" for one in ("keda-operator", _SERVICE)), "127.0.0.1"]
    issued = Authority(authority).issue("keda", hosts=list(dict.fromkeys([*names, at])))
    to = folder / "keda-certificates"
    to.mkdir(mode=0o700)
    for source, name in zip((authority / "ca.crt", *issued), ("ca.crt", "tls.crt", "tls.key"), strict=True):
        shutil.copy(source, to / name)
    return to


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
