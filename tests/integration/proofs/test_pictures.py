"""The pictures of proofs are drawn from the JSON result of a run."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from benchmarks import autoscaling_plots, drift, drift_plots, peers, peers_plots, rollout_statistics_plots
from benchmarks.simulated_rollouts.errors import false_alarms, power
from benchmarks.simulated_rollouts.outcomes import Plan
from support import proof
from support.autoscaling.schedules import SCHEDULES
from support.row_cache import RowCache

FEW = Plan(
    rollouts=3,
    rates=(20, 200),
    baselines=(0.01,),
    nuisances=("stationary", "overdispersion 1"),
    worse=(0.05, 0.5),
    medians_s=(0.04,),
    rivals=("Argo >= 99 %, 1 m, limit 0",),
    lasting=(),
    late_s=(),
)


def test_both_pictures_are_drawn_from_the_results_of_a_run(tmp_path: Path) -> None:
    found, rows = proof.Findings(), RowCache(tmp_path / "rows.jsonl", fingerprint="this test")
    false_alarms(FEW, rows, found)
    power(FEW, rows, found)
    document = proof.as_document("rollout_statistics", "a small run", "reduced", found, 1.0)
    (tmp_path / "rollout_statistics.json").write_text(json.dumps(document))
    pictures = rollout_statistics_plots.draw(tmp_path)
    assert [path.name for path in pictures] == [
        "rollout_statistics_false_alarms.svg",
        "rollout_statistics_time.svg",
    ]
    texts = ["".join(ElementTree.parse(path).getroot().itertext()) for path in pictures]
    assert all("Fairlead" in text and "Argo: 99 %, each minute, limit 0" in text for text in texts)
    assert "clumps" in texts[0]
    assert "200 requests/s" in texts[1]


def test_the_picture_of_drift_is_drawn_from_the_results_of_a_run(tmp_path: Path) -> None:
    found = drift.prove("reduced", tmp_path)
    document = proof.as_document("drift", "a small run", "reduced", found, 1.0)
    (tmp_path / "drift.json").write_text(json.dumps(document))
    text = "".join(ElementTree.parse(drift_plots.draw(tmp_path)).getroot().itertext())
    assert "Fairlead's alerts" in text
    assert "by 0.5 standard deviations" in text


def test_the_picture_of_other_servers_names_each_with_its_version(tmp_path: Path) -> None:
    one = peers.Seen(start_s=2.0, rates=[100.0, 300.0], cpu_s=1.0, latency_ms={"p99": 4.0}, memory_mib=99, checked=1000)
    pair = {"fairlead": one.to_json(), "peer": one.to_json()}
    models = {"iris": {"pairs": {"bare": pair, "KServe SDK": pair}}, "photo": {"pairs": {"KServe SDK": pair}}}
    numbers = {"models": models, "versions": {"kserve": "0.21.0"}}
    (tmp_path / "peers.json").write_text(json.dumps({"numbers": numbers}))
    text = "".join(ElementTree.parse(peers_plots.draw(tmp_path)).getroot().itertext())
    assert "Fairlead" in text
    assert text.count("KServe SDK 0.21.0") == 2
    assert "photo: a JPEG" in text
    assert text.count("1,000") == 5  # microseconds of CPU, of each server of each model


def test_the_picture_of_autoscaling_shows_every_schedule_with_its_share_of_the_oracle(tmp_path: Path) -> None:
    one = {"instance seconds": 300, "oracle seconds": 200, "changes": [(0.0, 1, 1), (90.0, 5, 1)]}
    numbers = {"schedules": {"keda": {schedule.model: one for schedule in SCHEDULES}}}
    (tmp_path / "autoscaling.json").write_text(json.dumps({"numbers": numbers}))
    text = "".join(ElementTree.parse(autoscaling_plots.draw(tmp_path)).getroot().itertext())
    assert all(f"{schedule.name}: 1.50 times the oracle" in text for schedule in SCHEDULES)
