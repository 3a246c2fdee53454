"""The command `ci/cluster`: a cluster for a developer that stays up between test runs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from support.cluster import isolation, lifecycle, state
from support.cluster.kubectl import CommandFailed
from support.cluster.layout import Tier
from support.cluster.programs import ProgramMissing
from support.processes import ProcessFailed


def main() -> int:
    """Run a command. Exit codes: 0 done, 1 no cluster is running, 2 the cluster cannot be started here."""
    parser = argparse.ArgumentParser(prog="ci/cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "kubeconfig", "load"])
    parser.add_argument(
        "archives", nargs="*", type=Path, help="for load: image archives from ci/images to put on the node"
    )
    parser.add_argument("--tier", choices=["control_plane", "node"], help="default: node, if this machine can run one")
    given = parser.parse_args()
    commands: dict[str, Callable[[], int]] = {
        "up": lambda: _up(given.tier),
        "down": _down,
        "status": _status,
        "kubeconfig": _kubeconfig,
        "load": lambda: _load(given.archives),
    }
    try:
        return commands[given.command]()
    except (ProgramMissing, ProcessFailed, CommandFailed) as failed:
        print(f"ci/cluster: {failed}", file=sys.stderr)
        return 2


_FOLDER = lifecycle.cluster_folder("dev")


def _up(tier: Tier | None) -> int:
    if lifecycle.find(_FOLDER) is not None:
        return _status()
    if tier is None:
        reason = isolation.missing_requirement()
        tier = "control_plane" if reason else "node"
        if reason:
            print(f"ci/cluster: starting a control plane and fake nodes only, because {reason}", file=sys.stderr)
    lifecycle.remove(_FOLDER)
    since = time.monotonic()
    lifecycle.start(_FOLDER, tier)
    print(f"ci/cluster: up after {time.monotonic() - since:.1f} s. Next: export KUBECONFIG=$(ci/cluster kubeconfig)")
    return 0


def _down() -> int:
    lifecycle.remove(_FOLDER)
    return 0


def _status() -> int:
    cluster, current = lifecycle.find(_FOLDER), state.read(_FOLDER)
    if cluster is None or cluster.plan is None or current is None:
        print("ci/cluster: no cluster is running. Start one: ci/cluster up", file=sys.stderr)
        return 1
    print(f"{current.phase}: {cluster.plan.tier} at {cluster.plan.api}, programs in {cluster.tools}")
    print(cluster.client()("get", "nodes"), end="")
    return 0


def _kubeconfig() -> int:
    cluster = lifecycle.find(_FOLDER)
    if cluster is None:
        return _status()
    print(cluster.kubeconfig)
    return 0


def _load(archives: Sequence[Path]) -> int:
    cluster = lifecycle.find(_FOLDER)
    if cluster is None:
        return _status()
    cluster.load(*archives)
    return 0


if __name__ == "__main__":
    sys.exit(main())
