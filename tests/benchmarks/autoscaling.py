"""Scales a model in pods by real load, with Prometheus, KEDA and the cluster's autoscaler, and with their faults."""

from __future__ import annotations

import time
from pathlib import Path

from support import proof
from support.autoscaling import played, releases, scenes
from support.autoscaling.loop import Loop, running_loop, write_models
from support.cluster import images, isolation, keda, lifecycle, programs
from support.cluster.installed import PLATFORM, install_crds, installed
from support.missing import skip_or_fail

TITLE = "autoscaling by load: what the number of instances does, also when Prometheus or KEDA fail"
NAMESPACE = "autoscaling"
FAULT_S = 20.0


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Start a cluster with a node, and play the scenes in it."""
    if reason := programs.not_built("node") or keda.not_built():
        raise skip_or_fail(reason)
    if reason := isolation.missing_requirement():
        raise skip_or_fail(reason, required_by="FAIRLEAD_REQUIRE_NODE")
    found = proof.Findings()
    archives = [images.build(one)[1] for one in ("control-plane", "envoy", *write_models())]
    with lifecycle.temporary("node") as cluster:
        cluster.load(*archives)
        cluster.client().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        install_crds(cluster.client())
        with (
            installed(cluster, NAMESPACE, folder, PLATFORM, time.monotonic()) as platform,
            running_loop(cluster, platform, folder) as loop,
        ):
            play(size, loop, found)
            scenes.nobody_failed(loop, found)
    if size == "full":
        with lifecycle.temporary("control_plane") as simulated:
            for kind in played.AUTOSCALERS:
                played.play(simulated, folder / f"schedules-{kind}", kind, found)
    return found


def play(size: proof.Size, loop: Loop, found: proof.Findings) -> None:
    """Play the scenes of this size with a running loop."""
    scenes.load_moves_instances(loop, found)
    if size == "reduced":
        scenes.under_fault(loop, scenes.PROMETHEUS_DOWN, found, seconds=10)
        return
    scenes.slow_answers_raise(loop, found)
    scenes.rollout_wins(loop, found)
    releases.rises_in_a_rollout(loop, found)
    releases.falls_in_a_rollout(loop, found)
    for fault in scenes.FAULTS:
        scenes.under_fault(loop, fault, found, seconds=FAULT_S)
    scenes.under_load(loop, scenes.UNSCRAPED, found, seconds=FAULT_S)
    scenes.without_load(loop, scenes.PROMETHEUS_DOWN, found, seconds=FAULT_S)


if __name__ == "__main__":
    proof.run("autoscaling", TITLE, prove)
