"""A Prometheus that scrapes a model's pods as the chart's PodMonitor describes, with rules of a short window.

Debian's Prometheus cannot ask Kubernetes for pods: a thread writes their addresses into a file that Prometheus watches.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import labels
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import PODS
from monitoring.rule_files import recording_rules
from monitoring.settings import DEFAULT
from support.prometheus import Prometheus, from_files

WINDOW = "5s"
INTERVAL = "1s"
_LOOK_EVERY_S = 0.5


def rules() -> dict[str, Any]:
    """The repository's recording rules, with a window that suits a scrape every second."""
    return recording_rules(replace(DEFAULT, scaling_window=WINDOW))


def not_numbers() -> dict[str, Any]:
    """The rules, but every series that scales is NaN."""

    def rule(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "expr": f"({one['expr']}) * NaN"} if "fairlead_scaling" in one["record"] else one

    return {"groups": [{**group, "rules": [rule(one) for one in group["rules"]]} for group in rules()["groups"]]}


def never_evaluated() -> dict[str, Any]:
    """The rules, but none is evaluated any more, as where the process hangs that should do it."""
    return {"groups": [{**group, "interval": "7d"} for group in rules()["groups"]]}


def without_pod(scrape: dict[str, Any], pod: str) -> dict[str, Any]:
    """A scrape config that leaves this pod out."""
    return {**scrape, "relabel_configs": [{"source_labels": ["pod"], "regex": pod, "action": "drop"}]}


@contextmanager
def scraping_pods(folder: Path, api: Api, namespace: str, model: str) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the running pods of a model."""
    targets, ended = folder / "targets.json", threading.Event()
    prometheus = Prometheus(folder, [from_files(targets)], INTERVAL, [rules()])

    def follow() -> None:
        while not ended.wait(_LOOK_EVERY_S):
            try:
                pods = api.list(PODS, namespace, f"{labels.COMPONENT}={labels.COMPONENT_MODEL},{labels.MODEL}={model}")[
                    0
                ]
            except errors.FairleadError:
                continue  # Prometheus keeps the targets that it knows, as when its own discovery fails
            draft = targets.with_suffix(".new")
            draft.write_text(json.dumps([one for pod in pods for one in _target(pod, namespace)]))
            draft.rename(targets)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        prometheus.start()
        yield prometheus
    finally:
        ended.set()
        follower.join()
        prometheus.stop()


def _target(pod: dict[str, Any], namespace: str) -> Iterator[dict[str, Any]]:
    if pod["status"].get("phase") == "Running" and (address := pod["status"].get("podIP")):
        named = {"namespace": namespace, "pod": pod["metadata"]["name"], "fairlead_process": labels.COMPONENT_MODEL}
        yield {"targets": [f"{address}:{labels.SERVICE_PORT}"], "labels": named}
