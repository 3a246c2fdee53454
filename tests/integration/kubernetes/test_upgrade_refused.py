"""Upgrades of the platform's chart that would cut something off are refused: by a real Helm, at a real API server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.cluster.installed import CHARTS
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster

SECRETS = ("gateway", "controlPlane")
Upgrade = Callable[[str], str]


@pytest.fixture
def upgrade(prepared: Cluster, namespace: str) -> Upgrade:
    """Installs or upgrades the platform with this `tls.controlPlane`; "no certificates" means `tls.mode: "off"`."""
    kube = prepared.client(namespace)
    named = [f"--set=tls.secretNames.{part}={part.lower()}-certificate" for part in SECRETS]

    def run(how: str) -> str:
        chosen = ["--set=tls.mode=secrets", *named, f"--set-string=tls.controlPlane={how}"]
        if how == "no certificates":
            chosen = ["--set-string=tls.mode=off", "--set-string=tls.controlPlane=off"]
        return kube.helm("upgrade", "--install", "fairlead", str(CHARTS / "platform"), *chosen)

    return run


def test_gateways_without_tls_are_not_cut_off_in_one_step(upgrade: Upgrade) -> None:
    upgrade("off")
    with pytest.raises(CommandFailed, match="upgrade with both first"):
        upgrade("only")


def test_over_both_the_way_is_open_in_both_directions_and_only_stays_only(upgrade: Upgrade) -> None:
    for how in ("off", "both", "only", "only", "both", "off"):
        upgrade(how)


@pytest.mark.parametrize("how", ["both", "only"])
def test_gateways_with_tls_are_not_cut_off_in_one_step(upgrade: Upgrade, how: str) -> None:
    upgrade(how)
    with pytest.raises(CommandFailed, match='upgrade with tls.controlPlane: "off" first'):
        upgrade("no certificates")
    upgrade("off")
    upgrade("no certificates")


def test_a_new_platform_may_begin_with_tls_only(upgrade: Upgrade) -> None:
    upgrade("only")
