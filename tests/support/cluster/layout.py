"""The files, addresses and ports of one cluster."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from support.processes import free_ports

Tier = Literal["control_plane", "node"]


@dataclass(frozen=True)
class Ports:
    """The ports of the control plane's processes."""

    etcd: int
    etcd_peers: int
    apiserver: int
    controllers: int
    scheduler: int


@dataclass(frozen=True)
class Layout:
    """The files, addresses and ports of one cluster. The number of its network makes the addresses of a node unique."""

    folder: Path
    tools: Path
    tier: Tier
    ports: Ports
    network: int = 0
    runtime: Path | None = None
    """The folder of a containerd with image volumes, which are then turned on; None: the one that is installed."""

    @property
    def address(self) -> str:
        """The address of the API server and of the node."""
        return "127.0.0.1" if self.tier == "control_plane" else f"10.201.{self.network}.2"

    @property
    def host_address(self) -> str:
        """This machine's address on the link to the node."""
        return f"10.201.{self.network}.1"

    @property
    def pods(self) -> str:
        """The address range of real pods."""
        return f"10.202.{self.network}.0/24"

    @property
    def services(self) -> str:
        """The address range of Services."""
        return f"10.203.{self.network}.0/24"

    @property
    def fake_pods(self) -> str:
        """The address range that KWOK gives to its pods. The addresses are not reachable."""
        return "10.204.0.0/16"

    @property
    def api(self) -> str:
        """The URL of the API server."""
        return f"https://{self.address}:{self.ports.apiserver}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def certificates(self) -> Path:
        """The folder of the certificate authority and all certificates."""
        return self.folder / "certificates"

    @property
    def logs(self) -> Path:
        """The folder of the logs, one file per process."""
        return self.folder / "logs"

    def program(self, name: str) -> str:
        """The path of a program that ci/cluster-tools has built."""
        return str(self.tools / name)

    def write(self) -> None:
        """Write layout.json, from which other processes read the layout."""
        plain = {
            "tools": str(self.tools), "tier": self.tier, "network": self.network, "ports": vars(self.ports),
            "runtime": self.runtime and str(self.runtime),
        }  # fmt: skip
        (self.folder / "layout.json").write_text(json.dumps(plain))


def read(folder: Path) -> Layout:
    """The layout that `Layout.write` wrote in a folder."""
    plain = json.loads((folder / "layout.json").read_text())
    runtime = plain.get("runtime")
    return Layout(
        folder,
        Path(plain["tools"]),
        plain["tier"],
        Ports(**plain["ports"]),
        plain["network"],
        Path(runtime) if runtime else None,
    )


def on_loopback(folder: Path, tools: Path) -> Layout:
    """A control plane on free ports of this machine."""
    return Layout(folder, tools, "control_plane", Ports(*free_ports(5)))


def in_own_network(folder: Path, tools: Path, network: int, runtime: Path | None = None) -> Layout:
    """A cluster with a node, in its own network namespace and therefore on the well-known ports."""
    return Layout(folder, tools, "node", Ports(2379, 2380, 6443, 10257, 10259), network, runtime)


def write_kubeconfig(path: Path, api: str, authority: Path, certificate: Path, key: Path) -> None:
    """Write a kubeconfig that contains its certificates, so that it can be copied."""

    def inline(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    name = "fairlead-test"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": api, "certificate-authority-data": inline(authority)}}],
        "users": [
            {"name": name, "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
