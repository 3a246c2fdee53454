"""The proofs that only compute hold at their reduced size."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import invariants, rollout_statistics
from integration.proofs.reduced import holds, named

PROOFS = [rollout_statistics, invariants]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=named)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    holds(module, tmp_path)
