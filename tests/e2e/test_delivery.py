"""Model folders from images, image volumes, archives and claims, on a node of its own that has image volumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import start_time
from integration.proofs.reduced import assert_holds

PROOFS = [start_time]
"""The proof that is run here at its reduced size."""


@pytest.mark.timeout(600)
def test_a_pod_of_every_kind_of_source_starts_and_none_with_a_changed_file(tmp_path: Path) -> None:
    assert_holds(start_time, tmp_path)
