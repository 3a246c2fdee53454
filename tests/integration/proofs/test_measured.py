"""Every proof holds at its reduced size; `make bench` runs them at the size their claims are made at.

These measure, or load what they look at: ci/test runs them alone.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import (
    bad_candidate,
    evidence_rollback,
    gateway_overhead,
    hot_path,
    kills,
    many_models,
    many_routes,
    rollback,
    sampling,
    shadow,
    sticky,
    table_changes,
)
from integration.proofs.reduced import holds, named

PROOFS = [
    hot_path,
    gateway_overhead,
    sampling,
    bad_candidate,
    table_changes,
    rollback,
    kills,
    many_models,
    many_routes,
    evidence_rollback,
    shadow,
    sticky,
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=named)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    holds(module, tmp_path)
