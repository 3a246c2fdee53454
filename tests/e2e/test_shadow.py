"""Shadows in pods: two gateways mirror requests, and a candidate with other answers is rejected before it has users."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.cli.exit_codes import ROLLED_BACK
from fairlead.contracts.revision import Cause, Phase, Revision
from support.cluster.installed import MODEL, Installed
from support.cluster.lifecycle import Cluster
from support.load.prebuilt import InTurn, encode
from support.load.summary import Summary
from support.proof import Findings

RATE = 60
MAX_PAIRS = 500
RELEASES = 5 if FULL else 1
"""The number of releases of the version with swapped classes."""
VALUES = (-3.0, 0.0, 0.5, 3.0, 3.0, 3.0)
"""Half of the answers are `high`, so a version that returns `middle` instead has another class mix."""
SORTER: dict[str, Any] = {
    **MODEL,
    "image": {"repository": "fairlead/model-sorter"},
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}, "1.2.0": {}},
    "strategy": {
        "preset": "strict",
        "shadow": {"minDuration": "5s", "minPairs": 200},
        "steps": [{"weight": 1000, "minDuration": "10m"}],
    },
}
BY_CLASSES: dict[str, Any] = {
    **SORTER,
    "strategy": {
        "steps": [{"weight": 3000, "minDuration": "10m"}],
        "gates": [{"name": "errors"}, {"name": "classes", "shift": 0.05}],
    },
}


def requests() -> InTurn:
    path = "/models/sorter/predict"
    return InTurn([encode("POST", path, body=json.dumps({"value": one}).encode()) for one in VALUES])


@pytest.fixture(scope="module", autouse=True)
def sorter(platform: Installed, cluster: Cluster, image: Any) -> None:
    for version in SORTER["versions"]:
        image(f"sorter:{version}")
    platform.deploy("sorter", SORTER)
    platform.wait_for("sorter", "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)


def since(platform: Installed, seq: int) -> list[Revision]:
    return [one for one in platform.history("sorter") if one.seq > seq]


def roll_out_swapped(platform: Installed, *command: str) -> tuple[Sequence[Revision], Summary]:
    """Release the version with swapped classes, or run a command instead, and wait for the rollback.

    Returns the new revisions, and the load during the release.
    """
    before = platform.status("sorter")["seq"]
    with platform.load_requests(requests(), rate=RATE, seconds=300) as load:
        if command:
            platform.fairlead(*command)
        else:
            platform.deploy("sorter", SORTER, "--set", "target=1.1.0")
        platform.fairlead("wait", "sorter", "--timeout", "4m", expect=ROLLED_BACK)
        load.stop()
        return since(platform, before), load.result()


def test_a_version_with_swapped_classes_is_rolled_back_before_its_first_weight(
    platform: Installed, findings: Findings
) -> None:
    releases = [roll_out_swapped(platform, *(("retry", "sorter") if turn else ())) for turn in range(RELEASES)]
    pairs = [sum(window.pairs.n for one in ledger for window in one.windows) for ledger, _ in releases]
    failed = sum(users.failed for _, users in releases)
    for ledger, _ in releases:
        assert ledger[-1].cause is Cause.ROLLED_BACK
        assert ": agreement: " in ledger[-1].reason
        assert Phase.SHADOWING in {one.state.phase for one in ledger}
        assert {one.table.weight for one in ledger} == {0}
    findings.claim(
        "shadow in pods, swapped classes: pairs when refused", f"at most {MAX_PAIRS}", pairs, max(pairs) <= MAX_PAIRS
    )
    findings.claim(*no_failed_requests("the same: users' failed requests", releases[-1][1]))
    assert max(pairs) <= MAX_PAIRS
    assert failed == 0


def test_fairlead_shadow_names_the_requests_with_different_answers(platform: Installed) -> None:
    status = json.loads(platform.fairlead("shadow", "sorter", "-o", "json"))
    assert status["worst"]
    assert status["worst"][0]["kind"] == "class"


def test_a_version_with_the_same_model_is_proven_to_agree_and_gets_its_first_weight(platform: Installed) -> None:
    before = platform.status("sorter")["seq"]
    with platform.load_requests(requests(), rate=RATE, seconds=300) as load:
        platform.deploy("sorter", SORTER, "--set", "target=1.2.0")
        platform.wait_for("sorter", "one request in ten", candidate="1.2.0", weight=1000, within=200)
        load.stop()
        users = load.result()
    first = next(one for one in since(platform, before) if one.table.weight)
    check = next(one for one in first.evidence if one.gate == "agreement")
    assert check.numbers["differ"] == 0
    assert check.numbers["log_safe"] >= check.numbers["safe_at"]
    assert users.failed == 0


def test_a_version_without_a_shadow_loses_its_weight_by_another_class_mix(platform: Installed) -> None:
    platform.deploy("sorter", BY_CLASSES)
    platform.wait_for("sorter", "1.0.0 alone serves", stable="1.0.0", candidate=None, phase="Stable")
    before = platform.status("sorter")["seq"]
    with platform.load_requests(requests(), rate=RATE, seconds=300) as load:
        platform.deploy("sorter", BY_CLASSES, "--set", "target=1.1.0")
        platform.fairlead("retry", "sorter")
        platform.fairlead("wait", "sorter", "--timeout", "4m", expect=ROLLED_BACK)
        load.stop()
        users = load.result()
    ledger = since(platform, before)
    assert ": classes: " in ledger[-1].reason
    assert max(one.table.weight for one in ledger) == 3000
    assert users.failed == 0
