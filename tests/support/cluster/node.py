"""The processes of one real node: containerd, kubelet, kube-proxy and the cluster's DNS, in their own namespaces."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from support.cluster import health, isolation
from support.cluster.control_plane import Component
from support.cluster.images import write_pause
from support.cluster.layout import Layout
from support.cluster.programs import CNI_PLUGINS

NAME = "node0"
PAUSE = "fairlead/pause:1"
_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "{shim}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
_COREFILE = """\
.:53 {{
    bind {address}
    errors
    ready {address}:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
}}
"""


def socket(plan: Layout) -> Path:
    """The socket of containerd, reachable from outside the node."""
    return plan.folder / "containerd.sock"


def prepare(plan: Layout) -> None:
    """Write the configuration files of the node's programs."""
    (plan.folder / "cni").mkdir(exist_ok=True)
    (plan.folder / "cni/10-bridge.conflist").write_text(json.dumps(_network(plan)))
    (plan.folder / "containerd.toml").write_text(
        _CONTAINERD.format(
            folder=plan.folder,
            socket=socket(plan),
            pause=PAUSE,
            plugins=CNI_PLUGINS,
            shim=plan.runtime / "containerd-shim-runc-v2" if plan.runtime else "",
        )
    )
    (plan.folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(plan)))
    (plan.folder / "kube-proxy.yaml").write_text(yaml.safe_dump(_proxy(plan)))
    (plan.folder / "Corefile").write_text(_COREFILE.format(address=plan.address, kubeconfig=plan.kubeconfig))
    write_pause(Path(plan.program("pause")), PAUSE, plan.folder / "pause.tar")


def components(plan: Layout) -> list[Component]:
    """The components of the node, in the order in which they must start."""
    return [
        Component(
            "containerd",
            [f"{plan.runtime}/containerd" if plan.runtime else "containerd", f"--config={plan.folder}/containerd.toml"],
            lambda: import_pause(plan),
        ),
        Component(
            "kubelet",
            [
                plan.program("kubelet"), f"--kubeconfig={plan.kubeconfig}", f"--config={plan.folder}/kubelet.yaml",
                f"--hostname-override={NAME}", f"--node-ip={plan.address}",
            ],
            lambda: health.answers("http://127.0.0.1:10248/healthz"),
        ),
        Component(
            "kube-proxy", [plan.program("kube-proxy"), f"--config={plan.folder}/kube-proxy.yaml"],
            lambda: health.answers("http://127.0.0.1:10256/healthz"),
        ),
        Component(
            "coredns", [plan.program("coredns"), "-conf", f"{plan.folder}/Corefile"],
            lambda: health.answers(f"http://{plan.address}:8181/ready"),
        ),
    ]  # fmt: skip


def import_pause(plan: Layout) -> bool:
    """Import the pause image, which every pod needs. Returns whether containerd answered and imported it."""
    command = ["ctr", f"--address={socket(plan)}", "-n", "k8s.io", "images", "import", str(plan.folder / "pause.tar")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _network(plan: Layout) -> dict[str, object]:
    ranges = [[{"subnet": plan.pods}]]
    bridge = {
        "type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": False, "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]},
    }  # fmt: skip
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _kubelet(plan: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{socket(plan)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": isolation.control_group(plan),
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        "clusterDomain": "cluster.local",
        "clusterDNS": [plan.address],
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(plan.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "featureGates": {"ImageVolume": True} if plan.runtime else {},
        "serializeImagePulls": False,
        # The node exists for minutes, so it collects no garbage before its disk is full.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "2s",
        "syncFrequency": "10s",
        "maxPods": 200,
    }


def _proxy(plan: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plan.kubeconfig)},
        "mode": "nftables",
        "hostnameOverride": NAME,
        "clusterCIDR": plan.pods,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nftables": {"syncPeriod": "5s", "minSyncPeriod": "100ms"},
    }
