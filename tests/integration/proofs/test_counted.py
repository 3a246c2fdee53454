"""Every proof that only counts holds at its reduced size: it claims no times there, and may run beside other tests."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import (
    artifacts,
    binary_tensors,
    drift_counting,
    fleet_size,
    gpu_pools,
    hostile_files,
    hot_path,
    many_models,
    many_routes,
    new_folders,
    onnx_models,
    peers,
)
from integration.proofs.reduced import assert_holds, name_of

PROOFS = [
    artifacts,
    binary_tensors,
    drift_counting,
    fleet_size,
    gpu_pools,
    hostile_files,
    hot_path,
    many_models,
    many_routes,
    new_folders,
    onnx_models,
    peers,
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", PROOFS, ids=name_of)
def test_the_proof_holds(module: ModuleType, tmp_path: Path) -> None:
    assert_holds(module, tmp_path)
