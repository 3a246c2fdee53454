"""Checks the engine's invariants over random histories of a route, in which the engine may die at any write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from support import proof
from unit.rollout.random_rollouts import Rollouts
from unit.rollout.random_shadows import ShadowedRollouts

TITLE = "invariants of the engine over random histories"
STEPS = 40
PLANS: Mapping[proof.Size, tuple[int, int]] = {"full": (100_000, 31_000), "reduced": (400, 160)}
"""The total number of steps: of rollouts, and of rollouts with a shadow before their first weight.

The reduced size shows that the proof works: tests/unit/rollout/test_machine.py takes more steps.
"""
WITH_SHADOW = "with a shadow: "
RARE = 100
"""How often each rare event must have happened at full size. The reduced size is too short for such a claim."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Run histories of up to forty steps until there are enough steps. A history that fails is shown in full."""
    found, (steps, shadowed) = proof.Findings(), PLANS[size]
    seen = _run(Rollouts, steps, found, "")
    with_shadow = _run(ShadowedRollouts, shadowed, found, WITH_SHADOW)
    found.numbers = {**seen, "shadowed": with_shadow}
    if size == "full":
        rare = {
            "deaths of the engine in the middle of writing": seen["deaths"],
            f"{WITH_SHADOW}deaths of the engine in the middle of writing": with_shadow["deaths"],
            f"{WITH_SHADOW}candidates refused by what pairs said": with_shadow["refused by them"],
        }
        for what, count in rare.items():
            found.claim(what, f">= {RARE}", f"{count:,}", count >= RARE)
    return found


def _run(machine: type[Rollouts], wanted: int, found: proof.Findings, name: str) -> dict[str, int]:
    seen = {"histories": 0, "steps": 0, "deaths": 0, "revisions": 0, "most revisions in one": 0}
    seen["losses tried on holding rollouts"] = 0
    pairs = {"pairs said": 0, "refused by them": 0}

    class Counted(machine):  # type: ignore[misc, valid-type]
        @invariant()
        def a_step_has_ended(self) -> None:
            seen["steps"] += 1

        def teardown(self) -> None:
            super().teardown()
            seen["histories"] += 1
            seen["deaths"] += self.deaths
            seen["losses tried on holding rollouts"] += self.faults
            seen["revisions"] += self.appended.checked
            seen["most revisions in one"] = max(seen["most revisions in one"], self.appended.checked)
            if isinstance(self, ShadowedRollouts):
                pairs["pairs said"] += self.said
                pairs["refused by them"] += self.appended.refused

    broken = ""
    while seen["steps"] < wanted and not broken:
        try:
            run_state_machine_as_test(Counted, settings=_settings(wanted))
        except Exception as failure:  # the error of the invariant is the result
            broken = "\n".join([f"{type(failure).__name__}: {failure}", *getattr(failure, "__notes__", ())])
    if machine is ShadowedRollouts:
        seen |= pairs
    for what, count in seen.items():
        found.note(f"{name}{what}", f"{count:,}")
    found.claim(f"{name}steps", f">= {wanted:,}", f"{seen['steps']:,}", seen["steps"] >= wanted)
    found.claim(f"{name}histories that break an invariant", "none", broken or "none", not broken)
    return dict(seen)


def _settings(wanted: int) -> settings:
    return settings(
        max_examples=max(1, wanted // STEPS),
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # No shrinking: the proof needs a yes or no. The test of the same state machine finds the shortest history.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


if __name__ == "__main__":
    proof.run("invariants", TITLE, prove)
