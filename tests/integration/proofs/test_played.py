"""The proofs that let real processes live through real windows hold at their reduced size: most of it is waiting."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import real_aa, real_rehearsals, rehearsal
from integration.proofs.reduced import holds, named

PROOFS = [rehearsal, real_rehearsals, real_aa]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=named)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    holds(module, tmp_path)
