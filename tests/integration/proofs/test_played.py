"""Runs the proofs in which real processes go through rollouts in real time, at their reduced size; they mostly wait."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import dashboards, real_aa, real_rehearsals, rehearsal, scale_to_zero
from integration.proofs.reduced import assert_holds, name_of

PROOFS = [rehearsal, real_rehearsals, real_aa, scale_to_zero, dashboards]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=name_of)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    assert_holds(module, tmp_path)
