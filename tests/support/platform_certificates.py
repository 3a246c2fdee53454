"""Certificates of a platform's gateways and control plane, with the names that the chart gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.gateway import name_for_gateways
from fairlead.routing.envoy.tls import secret_files
from support.cluster.certificates import Authority
from support.mounted_secret import MountedSecret

NAMES = {part: f"fairlead-{part}.models.svc.cluster.local" for part in ("control-plane", "gateway")}
"""The names of the two Services."""
VERIFIED = name_for_gateways(NAMES["control-plane"])
"""The name that gateways verify."""
Certificate = tuple[Path, Path]
"""A certificate and its key."""


def of_control_plane(issuer: Authority, **more: str) -> Certificate:
    """For both sides."""
    return issuer.issue("control-plane", hosts=[NAMES["control-plane"], VERIFIED], **more)


def of_gateway(issuer: Authority, **more: str) -> Certificate:
    """For a client."""
    return issuer.issue("gateway", hosts=[NAMES["gateway"]], usages="clientAuth", **more)


def described(mounted: MountedSecret) -> str:
    """The folder that tells a gateway where these files are."""
    folder = mounted.folder.with_name(f"{mounted.folder.name}-secrets")
    folder.mkdir()
    for name, content in secret_files(str(mounted.folder)).items():
        (folder / name).write_text(json.dumps(content))
    return str(folder)


@dataclass(frozen=True)
class PlatformFiles:
    """Where both sides have their files."""

    control_plane: Path
    """The folder with the files of the control plane."""
    secrets: str
    """The folder that tells a gateway where its files are."""


def issued(home: Path) -> PlatformFiles:
    """Of an authority of their own."""
    authority = Authority(home / "authority").create()
    control = MountedSecret(home / "control").put(of_control_plane(authority), [authority])
    edge = MountedSecret(home / "edge").put(of_gateway(authority), [authority])
    return PlatformFiles(control.folder, described(edge))
