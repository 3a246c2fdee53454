"""Places pods of every GPU pool of the model chart on random simulated nodes, with a real API server and scheduler."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fairlead.placement.explain import Cause
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import Kind
from support import proof
from support.cluster import lifecycle, programs
from support.gpu_fleets import CLOUDS
from support.gpu_placement import play
from support.missing import skip_or_fail

TITLE = "GPU pools: where the scheduler places the pods of the chart, and why others wait"
FLEETS = {"full": 200, "reduced": 20}
AT_ONCE = 20
NAMESPACE = "pools"


def prove(size: proof.Size, folder: Path) -> proof.Findings:  # noqa: ARG001 - every proof gets a folder
    """All fleets of this size, some of them at a time."""
    if reason := programs.not_built("control_plane"):
        raise skip_or_fail(reason)
    found, wrong = Counter[str](), []
    waiting: Counter[str] = Counter()
    with lifecycle.temporary("control_plane") as cluster:
        api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
        api.create(Kind("/api/v1", "namespaces", "Namespace"), "", {"metadata": {"name": NAMESPACE}})
        api.create(Kind("/api/v1", "serviceaccounts", "ServiceAccount"), NAMESPACE, {"metadata": {"name": "iris"}})
        for first in range(0, FLEETS[size], AT_ONCE):
            judged = play(api, NAMESPACE, range(first, min(first + AT_ONCE, FLEETS[size])))
            found.update(placed=judged.placed, nodes=judged.nodes)
            waiting.update(judged.waiting)
            wrong += judged.wrong
        api.close()
    findings = proof.Findings()
    findings.note("fleets, nodes, pods", f"{FLEETS[size]}, {found['nodes']}, {found['placed'] + waiting.total()}")
    for name, sentences in (
        ("pods on nodes that are not what they ask for", [one for one in wrong if " is on " in one]),
        ("pods that wait for another reason than the one given", [one for one in wrong if " is on " not in one]),
    ):
        findings.claim(name, "0", f"{len(sentences)}{f', such as {sentences[0]}' if sentences else ''}", not sentences)
    findings.claim("pods with a node", f"more than {FLEETS[size]}", found["placed"], found["placed"] > FLEETS[size])
    causes = {Cause.LABELS, Cause.TAINTS, Cause.MISSING, Cause.TOO_SMALL, Cause.NOT_FREE}
    listed = ", ".join(f"{cause} {count}" for cause, count in sorted(waiting.items()))
    findings.claim("pods that wait, by reason", "every reason", listed, causes <= waiting.keys())
    findings.numbers = {"fleets": FLEETS[size], "pools": sorted(CLOUDS), **found, "waiting": dict(waiting)}
    return findings


if __name__ == "__main__":
    proof.run("gpu_pools", TITLE, prove)
