"""Random histories of a route, the engine dying at any write: what must hold at every step does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from support import proof
from unit.rollout.test_machine import Rollouts

TITLE = "invariants of the engine over random histories"
STEPS = 40
PLANS: Mapping[proof.Size, int] = {"full": 100_000, "reduced": 400}
"""Steps in all."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Histories of up to forty steps until there are enough of them; one that breaks an invariant is told in full."""
    seen = {"histories": 0, "steps": 0, "deaths": 0, "revisions": 0, "most revisions in one": 0}

    class Counted(Rollouts):
        @invariant()
        def a_step_has_ended(self) -> None:
            seen["steps"] += 1

        def teardown(self) -> None:
            super().teardown()
            seen["histories"] += 1
            seen["deaths"] += self.deaths
            seen["revisions"] += self.checked
            seen["most revisions in one"] = max(seen["most revisions in one"], self.checked)

    wanted = PLANS[size]
    how = settings(
        max_examples=max(1, wanted // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # No shrinking: a proof says whether it holds; the test of the same machine finds the shortest history.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    found = proof.Findings()
    broken = ""
    while seen["steps"] < wanted and not broken:
        try:
            run_state_machine_as_test(Counted, settings=how)
        except Exception as failure:  # whatever an invariant raises is what is to be told
            broken = "\n".join([f"{type(failure).__name__}: {failure}", *getattr(failure, "__notes__", ())])
    for what, count in seen.items():
        found.told(what, f"{count:,}")
    found.claim("steps", f">= {wanted:,}", f"{seen['steps']:,}", seen["steps"] >= wanted)
    found.claim("deaths of the engine in the middle of writing", "> 0", f"{seen['deaths']:,}", seen["deaths"] > 0)
    found.claim("histories that break an invariant", "none", broken or "none", not broken)
    found.numbers = dict(seen)
    return found


if __name__ == "__main__":
    proof.run("invariants", TITLE, prove)
