"""Every proof in tests/benchmarks is run by exactly one test, of this folder or in a cluster."""

from __future__ import annotations

from pathlib import Path

from e2e import test_autoscaling, test_delivery
from integration.proofs import test_computed, test_counted, test_measured, test_played
from integration.proofs.reduced import name_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_proof_is_run_by_one_test() -> None:
    groups = (test_computed, test_counted, test_measured, test_played, test_autoscaling, test_delivery)
    run = [name_of(module) for tests in groups for module in tests.PROOFS]
    proofs = [path.stem for path in BENCHMARKS.glob("*.py") if "def prove(" in path.read_text()]
    assert sorted(run) == sorted(proofs)
