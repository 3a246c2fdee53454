"""A real platform whose models misbehave on command, and a real Prometheus that scrapes it with the shipped rules.

Each model is there for one fault, and one for none. The rules are the shipped ones, but every window and every wait is
`FASTER` times shorter, so that an hour takes two minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitoring.recording import Records
from monitoring.rule_files import alerting_rules, recording_rules
from monitoring.settings import DEFAULT
from support.drift.doublers import measure
from support.drift.requests import Drawn
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.monitoring.outside import PODS, Outside, outside_world
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.prometheus import Prometheus, from_files, running_prometheus

FASTER = 30
SETTINGS = DEFAULT.faster_by(FASTER)
RECORDS = Records(SETTINGS)
HOUR_S = 3600 / FASTER
INTERVAL = "1s"
RATE = 8
FIRST, NEXT = "1.0.0", "1.1.0"
CALM = "calm"
"""The model that nothing happens to but a release that goes well."""
DRIFTED = "drifted"
SLOWLY = {"steps": [{"weight": 2000, "minDuration": "30m"}], "minRequests": 0}
SWIFTLY = {"steps": [{"weight": 2000, "minDuration": "10s"}, {"weight": 5000, "minDuration": "10s"}], "minRequests": 0}
APPROVED = {"steps": [{"weight": 2000, "minDuration": "1s", "approval": True}], "minRequests": 0}
WAITING = "waiting"
"""The model whose steps somebody must approve."""
SELDOM = {"steps": [{"weight": 2000, "minDuration": "1s"}], "minRequests": 10**6}
STUCK = "stuck"
"""The model that gets far fewer requests than its step asks for."""
PATIENT = {"x-deadline-ms": "1000"}
"""A queue has a limit of seconds, too: that of its clients."""


@dataclass
class Stage:
    """What runs. `loads` has the load of each model."""

    platform: Platform
    prometheus: Prometheus
    outside: Outside
    scrape: dict[str, Any]
    loads: dict[str, OpenLoop] = field(default_factory=dict)
    ended: ExitStack = field(default_factory=ExitStack)

    def folder(self, model: str, version: str = FIRST) -> Path:
        """The folder of a version, which `folders.behave` takes."""
        return self.platform.folder / "models" / model / version

    def process(self, model: str, version: str = FIRST) -> int:
        """The pid of the first instance of a version."""
        own = {name: pid for name, pid in self.platform.children().items() if name.startswith(f"{model}-{version}-")}
        return own[min(own)]

    def load(self, model: str, rate: float = RATE, shift: float = 0.0, strange: float = 0.0) -> None:
        """Requests to a model until `quiet`, instead of those that it gets now. `shift` and `strange` are of rows."""
        self.quiet(model)
        if model == DRIFTED:
            request: Any = Drawn(model, shift, strange=strange)
        else:
            request = Users(f"/models/{model}/predict", body=DOUBLER, headers=PATIENT if rate > RATE else None)
        self.loads[model] = OpenLoop(self.platform.url, rate=rate, seconds=1800, request=request)
        self.ended.enter_context(self.loads[model])

    def quiet(self, model: str) -> None:
        """No more requests to a model."""
        if model in self.loads:
            self.loads.pop(model).stop()

    def unscraped(self, model: str) -> None:
        """Prometheus no longer reads the services of a model."""
        own = [one["instance"] for one in self.outside.pods if one["model"] == model]
        gone = {"source_labels": ["__address__"], "regex": "|".join(own), "action": "drop"}
        scrape = {**self.scrape, "relabel_configs": [*self.scrape["relabel_configs"], gone]}
        self.prometheus.reload([scrape, self.outside.scrape], self.prometheus.rules)

    def firing(self) -> dict[str, set[str]]:
        """The alerts that fire now, by model. Those of the platform are under the empty name."""
        return self._alerts('ALERTS{alertstate="firing"}')

    def fired(self, seconds: float) -> dict[str, set[str]]:
        """The alerts that have fired in the last seconds, by model."""
        return self._alerts(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds:.0f}s])')

    def _alerts(self, query: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        models = {one["instance"]: one["model"] for one in self.outside.pods}
        for line in self.prometheus.query(query):
            labels: Mapping[str, str] = line["metric"]
            model = labels.get("model") or models.get(labels.get("instance", ""), "")
            found.setdefault(model, set()).add(labels["alertname"])
        return found


@contextmanager
def running_stage(
    folder: Path,
    *models: str,
    instances: Mapping[str, int] | None = None,
) -> Iterator[Stage]:
    """Run it with `calm` and these models until all of them have answered and are scraped."""
    strategies = {CALM: SWIFTLY, WAITING: APPROVED, STUCK: SELDOM}
    document: dict[str, dict[str, Any]] = {}
    for model in (CALM, *models):
        count, strategy = (instances or {}).get(model, 1), strategies.get(model, SLOWLY)
        document |= doublers(folder, FIRST, NEXT, model=model, instances=count, strategy=strategy)
    if DRIFTED in models:
        measure(folder / "models" / DRIFTED / FIRST)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(folder, document))
        outside = stack.enter_context(outside_world())
        scrape = {**from_files(folder / ".fairlead" / "prometheus-targets.json"), **PODS}
        prometheus = stack.enter_context(
            running_prometheus(
                folder / "prometheus",
                [scrape, outside.scrape],
                interval=INTERVAL,
                rules=[recording_rules(SETTINGS), alerting_rules(SETTINGS)],
            )
        )
        stage = Stage(platform, prometheus, outside, scrape)
        stack.enter_context(stage.ended)
        for model in (CALM, *models):
            stage.load(model)
        prometheus.wait_for(f"count({RECORDS.requests} > 0) >= {len(document)}", "every model gets requests")
        outside.look(prometheus)
        yield stage


def passed(seconds: float) -> None:
    """Let this time pass: what is shown takes it."""
    time.sleep(seconds)
