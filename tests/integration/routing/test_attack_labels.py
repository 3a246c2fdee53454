"""Whatever clients name, gateway and service make no new series: 10,000 requests with random names of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from fairlead.serving.reference.build import write_profile
from support import folders
from support.hostile_names import Hostile
from support.load.open_loop import OpenLoop
from support.platform import Platform, running_platform
from support.processes import wait_until

CODE = """
from typing import Literal
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    value: float
    kind: str

class Answer(BaseModel):
    label: Literal["high", "low"]

class Sorter(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [Answer(label="high" if row.value > 0 else "low") for row in rows]
"""
GOLDEN = ({"input": {"value": 1.0, "kind": "a"}, "expected": {"label": "high"}},) * 2
MODEL = "sorter"
COUNT, FIRST, RATE = 10_000, 600, 250
"""So many requests; before them the FIRST ones, after which every status and every kind of request has its series."""
ANY = range(100, 600)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("labels")
    source = folders.make(
        folder / MODEL, code=CODE, artifact=None, golden=GOLDEN, name=MODEL, version="1.0.0", entry="model:Sorter"
    )
    rows = [{"value": at / 100 - 5, "kind": "abc"[at % 3]} for at in range(1000)]
    write_profile(source, rows)
    models = {MODEL: {"target": "1.0.0", "versions": {"1.0.0": {"source": str(source)}}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRLEAD_SERVING_FEEDBACK_BYTES", "1048576")
        with running_platform(folder, models) as running:
            wait_until(lambda: any("drift" in url for url in exposed(running)), "the service is a target")
            yield running


def exposed(platform: Platform) -> list[str]:
    """Where Prometheus finds metrics: those of the gateway, the control plane, and the service with its drift."""
    targets = json.loads((platform.state / "prometheus-targets.json").read_text())
    return [
        f"http://{place}{one['labels'].get('__metrics_path__', '/metrics')}"
        for one in targets
        for place in one["targets"]
    ]


def series(url: str) -> set[str]:
    """The names and labels of all samples there."""
    text = httpx.get(url, timeout=10).raise_for_status().text
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def of_service(platform: Platform) -> str:
    """The address of the service itself."""
    return next(url for url in exposed(platform) if url.endswith("/metrics/drift")).removesuffix("/metrics/drift")


@pytest.mark.timeout(300)
def test_random_names_make_no_new_series(platform: Platform) -> None:
    places = {platform.url: f"/models/{MODEL}", of_service(platform): ""}
    for url, prefix in places.items():
        with OpenLoop(url, rate=RATE, count=FIRST, request=Hostile(MODEL, 1, prefix), accepted=ANY) as load:
            load.result()
    before = {url: series(url) for url in exposed(platform)}
    answered = 0
    for url, prefix in places.items():
        with OpenLoop(url, rate=RATE, count=COUNT // 2, request=Hostile(MODEL, 2, prefix), accepted=ANY) as load:
            answered += load.result().ok
    assert answered > COUNT * 0.95
    assert len(before) >= 4
    new = {url: sorted(series(url) - known) for url, known in before.items()}
    assert not any(new.values()), new
