"""The processes of the Kubernetes control plane: their command lines and flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.cluster.certificates import Authority
from support.cluster.layout import Layout, write_kubeconfig


@dataclass(frozen=True)
class Component:
    """One process of the cluster. The keeper starts it when all components before it in the list are ready."""

    name: str
    command: list[str]
    is_ready: Callable[[], bool] = field(default=lambda: True, compare=False)


def prepare(layout: Layout) -> None:
    """Write the certificates and the administrator's kubeconfig."""
    authority = Authority(layout.certificates).create()
    first_service = layout.services.replace(".0/24", ".1")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    authority.issue("server", hosts=["localhost", *names, "127.0.0.1", layout.address, first_service])
    authority.issue("front-proxy")
    certificate, key = authority.issue("kubernetes-admin", groups=["system:masters"], file="admin")
    write_kubeconfig(layout.kubeconfig, layout.api, authority.certificate, certificate, key)


def etcd(layout: Layout) -> list[str]:
    """The command of etcd, without fsync: the data of a test cluster need not survive a crash of the machine."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (layout.ports.etcd, layout.ports.etcd_peers))
    return [
        layout.program("etcd"), "--name=node0", f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=node0={peer}",
        "--unsafe-no-fsync", "--log-level=warn",
    ]  # fmt: skip


def apiserver(layout: Layout) -> list[str]:
    """The command of the API server. The aggregation layer is on, so that a metrics API can be registered."""

    def file(name: str) -> Path:
        return layout.certificates / name

    command = [
        layout.program("kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{layout.ports.etcd}",
        f"--bind-address={'127.0.0.1' if layout.tier == 'control_plane' else '0.0.0.0'}",
        f"--secure-port={layout.ports.apiserver}",
        f"--advertise-address={layout.address}",
        f"--service-cluster-ip-range={layout.services}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--client-ca-file={file('ca.crt')}",
        f"--tls-cert-file={file('server.crt')}",
        f"--tls-private-key-file={file('server.key')}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={file('sa.key')}",
        f"--service-account-signing-key-file={file('sa.key')}",
        f"--requestheader-client-ca-file={file('ca.crt')}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={file('front-proxy.crt')}",
        f"--proxy-client-key-file={file('front-proxy.key')}",
        f"--kubelet-client-certificate={file('admin.crt')}",
        f"--kubelet-client-key={file('admin.key')}",
        "--kubelet-preferred-address-types=InternalIP",
    ]
    if layout.runtime is not None:
        command.append("--feature-gates=ImageVolume=true")
    if layout.tier == "control_plane":  # a loopback address cannot be an endpoint of the Service `kubernetes`
        command.append("--endpoint-reconciler-type=none")
    return command


def controller_manager(layout: Layout) -> list[str]:
    """The command of the controllers. The autoscaler's periods are short, so that tests need not wait for minutes."""
    return [
        layout.program("kube-controller-manager"), *_controller_flags(layout, layout.ports.controllers),
        f"--root-ca-file={layout.certificates / 'ca.crt'}",
        f"--service-account-private-key-file={layout.certificates / 'sa.key'}",
        "--use-service-account-credentials", "--controllers=*",
        "--horizontal-pod-autoscaler-sync-period=2s", "--horizontal-pod-autoscaler-downscale-stabilization=10s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
    ]  # fmt: skip


def scheduler(layout: Layout) -> list[str]:
    """The command of the real scheduler, so that tests can check selectors, tolerations, spread and priorities."""
    return [layout.program("kube-scheduler"), *_controller_flags(layout, layout.ports.scheduler)]


def kwok(layout: Layout) -> list[str]:
    """The command of KWOK, which simulates the kubelet of the nodes with its annotation only."""
    return [
        layout.program("kwok"), f"--kubeconfig={layout.kubeconfig}", "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", f"--cidr={layout.fake_pods}",
        "--node-ip=10.204.255.254", "--node-lease-duration-seconds=40",
    ]  # fmt: skip


def _controller_flags(layout: Layout, port: int) -> list[str]:
    config = layout.kubeconfig
    return [
        f"--kubeconfig={config}", f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
        "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={port}",
    ]  # fmt: skip
