"""The programs that a cluster needs: built by ci/cluster-tools, or installed on the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager", "kube-scheduler", "kwok")
NODE = ("kubelet", "kube-proxy", "coredns", "pause")
IMAGE_VOLUMES = ("containerd", "containerd-shim-runc-v2")
"""Of the set `runtime-tools`: Debian's containerd is too old for image volumes."""
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


def built(names: Sequence[str], of: str = "tools") -> Path:
    """The folder with these programs of a set. Builds the missing ones, which takes minutes the first time."""
    done = subprocess.run([*_command(of), *names], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ProgramMissing(f"ci/cluster-tools could not build {', '.join(names)}; see its messages above")
    return Path(done.stdout.strip())


def absent(names: Sequence[str], of: str = "tools") -> list[str]:
    """The programs of a set that are not built yet."""
    command = [*_command(of), "--folder"]
    folder = Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
    return [name for name in names if not (folder / name).exists()]


def _command(of: str) -> list[str]:
    return [str(REPOSITORY / "ci/cluster-tools"), f"--set={of}"]


def of_tier(tier: str) -> tuple[str, ...]:
    """The programs for a cluster of this tier, and for its users."""
    return (*CONTROL_PLANE, "helm", *(NODE if tier == "node" else ()))


def not_built(tier: str) -> str:
    """A message that names the programs of this tier that are not built yet; empty if all are."""
    if names := absent(of_tier(tier)):
        return f"{', '.join(names)} not built yet; run ci/cluster-tools (once, about 15 minutes on two cores)"
    return ""


def missing_packages(needed: Mapping[str, str] = INSTALLED) -> list[str]:
    """The Debian packages that a real node needs and that are not installed."""
    packages = {package for program, package in needed.items() if shutil.which(program) is None}
    if not (CNI_PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    return sorted(packages)


if __name__ == "__main__":  # for ci/e2e
    print(*missing_packages({**INSTALLED, **TO_BUILD_IMAGES}))
