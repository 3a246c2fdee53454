"""The programs of the cluster: built by ci/cluster-tools, or installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = ("kubelet", "kube-proxy", "coredns", "pause")
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
TO_BUILD_IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
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


def of_tier(tier: str) -> tuple[str, ...]:
    """The programs that a cluster of this tier and its users need."""
    return (*CONTROL_PLANE, "helm", *(NODE if tier == "node" else ()))


def not_built(tier: str) -> str:
    """Which programs of this tier have not been built yet; empty when all are there."""
    script = REPOSITORY / "ci/cluster-tools"
    folder = Path(subprocess.run([script, "--folder"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    if absent := [name for name in of_tier(tier) if not (folder / name).exists()]:
        return f"{', '.join(absent)} not built yet; run ci/cluster-tools (once, about 15 minutes on two cores)"
    return ""


def missing_packages(needed: Mapping[str, str] = OF_THE_MACHINE) -> list[str]:
    """Debian packages that a real node needs and this machine lacks."""
    packages = {package for program, package in needed.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    return sorted(packages)


if __name__ == "__main__":  # for ci/e2e
    print(*missing_packages({**OF_THE_MACHINE, **TO_BUILD_IMAGES}))
