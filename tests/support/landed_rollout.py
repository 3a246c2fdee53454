"""Plays a rollout to its middle on a real API server, and prints what the control plane stored, as JSON.

python -m support.landed_rollout CHART    with PYTHONPATH=SERVICES:tests; CHART is the package of the kinds
`ci/landed_charts` runs it with the code and the kinds of the landed commit. Gateways, golden rows and time are
simulated (tests/integration/kubernetes/engine_harness.py); the engine, the store and the API server are real.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing

from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionSpec
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS, REVISIONS, ROUTES, Object
from integration.kubernetes.engine_harness import EngineHarness
from integration.kubernetes.versions import make_slice, make_version
from support.cluster.lifecycle import temporary
from support.processes import wait_until

NAMESPACE = "landed"
ADMINISTRATOR = "kubernetes-admin"
MODEL = "iris"
VERSIONS = {f"1.{number}.0": VersionSpec(image=f"registry/iris@sha256:{number}") for number in (0, 1)}
WEIGHTS = (1000, 5000, 9000)


def a_spec(target: str) -> RouteSpec:
    steps = tuple(Step(weight=weight, min_duration=20, approval=True) for weight in WEIGHTS)
    strategy = Strategy(steps=steps, rollback_window=60, min_requests=0)
    return RouteSpec(model=MODEL, versions=VERSIONS, target=Target(version=target), strategy=strategy)


def start(api: Api) -> EngineHarness:
    """An engine for which both versions are ready."""
    harness = EngineHarness(api, NAMESPACE)
    for number, (version, spec) in enumerate(VERSIONS.items(), start=1):
        make_version(api, NAMESPACE, spec.ref(version))
        make_slice(api, NAMESPACE, spec.ref(version), {f"10.0.0.{number}": {"ready": True}})
    wait_until(lambda: len(harness.store.instances()) == len(VERSIONS), "both versions are ready")
    return harness


def approve(harness: EngineHarness, name: str) -> None:
    """Approve the next step, and let time pass until it is reached."""
    action = Action(name=name, route=MODEL, type=ActionType.APPROVE, actor=ADMINISTRATOR, created_at=harness.now)
    harness.store.create_action(action)
    harness.go_on(30)


def play(api: Api) -> Iterator[Object]:
    """Release 1.1.0 and approve its second step. Yields the objects, without what the API server gave them."""
    harness = start(api)
    with closing(harness.store):
        for target in VERSIONS:
            harness.store.put_route(MODEL, a_spec(target), now=harness.now, actor=ADMINISTRATOR, reason="a release")
            harness.go_on(30)
        approve(harness, "second-step")
    for kind in (ROUTES, REVISIONS, ACTIONS):
        for one in api.list_whole(kind, NAMESPACE):
            metadata = {
                name: one["metadata"][name] for name in ("name", "labels", "annotations") if name in one["metadata"]
            }
            yield {"kind": kind.kind, **one, "metadata": metadata}


def main(chart: str) -> None:
    with temporary("control_plane") as cluster:
        cluster.client().helm("install", "fairlead-crds", chart, "--wait")
        with closing(Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))) as api:
            api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
            print("[\n" + ",\n".join(map(json.dumps, play(api))) + "\n]")


if __name__ == "__main__":
    main(sys.argv[1])
