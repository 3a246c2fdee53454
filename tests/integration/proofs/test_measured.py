"""Runs the proofs that measure or generate load at their reduced size; their claims must hold.

ci/test runs these tests alone, so that other tests do not disturb the measurements. `make bench` runs all proofs at
full size.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import (
    abandoned,
    alert_drills,
    bad_candidate,
    calibrate,
    console,
    evidence_rollback,
    gateway_overhead,
    health_under_load,
    hostile_bodies,
    kills,
    optimize,
    rollback,
    sampling,
    shadow,
    sticky,
    table_changes,
)
from integration.proofs.reduced import assert_holds, name_of

PROOFS = [
    abandoned,
    gateway_overhead,
    sampling,
    bad_candidate,
    table_changes,
    rollback,
    kills,
    evidence_rollback,
    shadow,
    sticky,
    hostile_bodies,
    health_under_load,
    console,
    calibrate,
    alert_drills,
    optimize,
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=name_of)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    assert_holds(module, tmp_path)
