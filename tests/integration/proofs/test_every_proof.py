"""No proof is left out: each of tests/benchmarks is run by one of the tests here."""

from __future__ import annotations

from pathlib import Path

from integration.proofs import test_computed, test_measured, test_played
from integration.proofs.reduced import named

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_proof_is_run_by_one_test() -> None:
    run = [named(module) for tests in (test_computed, test_measured, test_played) for module in tests.PROOFS]
    there = [path.stem for path in BENCHMARKS.glob("*.py") if "def prove(" in path.read_text()]
    assert sorted(run) == sorted(there)
