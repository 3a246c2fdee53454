"""Runs the proofs that only compute at their reduced size; their claims must hold."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import drift, drift_slices, invariants, monitoring_gates, renders, rollout_statistics
from integration.proofs.reduced import assert_holds, name_of

PROOFS = [rollout_statistics, invariants, drift, drift_slices, monitoring_gates, renders]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=name_of)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    assert_holds(module, tmp_path)
