"""The programs of the cluster: built by ci/cluster-tools, or installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = ("kubelet", "kube-proxy", "coredns")
# Program of the machine -> the Debian package that has it.
OF_THE_MACHINE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
}
CNI_PLUGINS = Path("/usr/lib/cni")


class ProgramMissing(Exception):
    """Something the cluster is made of is not here and cannot be built; the message says what to do."""


def built(names: Sequence[str]) -> Path:
    """The folder that holds these programs; builds what is missing, which takes minutes the first time."""
    script = REPOSITORY / "ci/cluster-tools"
    done = subprocess.run([script, *names], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ProgramMissing(f"ci/cluster-tools could not provide {', '.join(names)}; its reasons are above")
    return Path(done.stdout.strip())


def missing_packages() -> list[str]:
    """Debian packages that a real node needs and this machine lacks."""
    packages = {package for program, package in OF_THE_MACHINE.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    return sorted(packages)
