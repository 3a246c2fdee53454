"""Every proof holds at its reduced size; `make bench` runs them at the size their claims are made at."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import (
    bad_candidate,
    evidence_rollback,
    gateway_overhead,
    hot_path,
    invariants,
    kills,
    many_routes,
    real_aa,
    real_rehearsals,
    rehearsal,
    rollback,
    rollout_statistics,
    sampling,
    shadow,
    sticky,
    table_changes,
)

PROOFS = [
    hot_path,
    gateway_overhead,
    sampling,
    bad_candidate,
    table_changes,
    rollback,
    kills,
    many_routes,
    rollout_statistics,
    evidence_rollback,
    rehearsal,
    real_rehearsals,
    real_aa,
    invariants,
    shadow,
    sticky,
]


@pytest.mark.parametrize("module", PROOFS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    findings = module.prove("reduced", tmp_path)
    assert findings.claims
    assert not findings.broken
