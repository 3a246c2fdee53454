"""The programs that a cluster needs: built by ci/cluster-tools, or installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = ("kubelet", "kube-proxy", "coredns", "pause")
# Programs that must be installed on the machine, with their Debian packages.
INSTALLED = {
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
    """A program of the cluster is missing and cannot be built. The message says what to do."""


def built(names: Sequence[str]) -> Path:
    """The folder with these programs. Builds the missing ones, which takes minutes the first time."""
    script = REPOSITORY / "ci/cluster-tools"
    done = subprocess.run([script, *names], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ProgramMissing(f"ci/cluster-tools could not build {', '.join(names)}; see its messages above")
    return Path(done.stdout.strip())


def of_tier(tier: str) -> tuple[str, ...]:
    """The programs for a cluster of this tier, and for its users."""
    return (*CONTROL_PLANE, "helm", *(NODE if tier == "node" else ()))


def not_built(tier: str) -> str:
    """A message that names the programs of this tier that are not built yet; empty if all are."""
    script = REPOSITORY / "ci/cluster-tools"
    folder = Path(subprocess.run([script, "--folder"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    if absent := [name for name in of_tier(tier) if not (folder / name).exists()]:
        return f"{', '.join(absent)} not built yet; run ci/cluster-tools (once, about 15 minutes on two cores)"
    return ""


def missing_packages(needed: Mapping[str, str] = INSTALLED) -> list[str]:
    """The Debian packages that a real node needs and that are not installed."""
    packages = {package for program, package in needed.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    return sorted(packages)


if __name__ == "__main__":  # for ci/e2e
    print(*missing_packages({**INSTALLED, **TO_BUILD_IMAGES}))
