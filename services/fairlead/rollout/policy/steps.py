"""Which step a weight is on, which comes next, and what the present one still waits for.

Steps are found by weight and not by number: the user may edit the list while a rollout is under way, and a rise
must then still be a rise.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.base import format_duration
from fairlead.contracts.route import TOTAL_WEIGHT, Step


def current_step(steps: Sequence[Step], weight: int) -> int:
    """The index of the highest step that the weight has reached; -1 before the first."""
    return sum(step.weight <= weight for step in steps) - 1


def next_weight(steps: Sequence[Step], weight: int) -> int:
    """The weight of the next step; everything after the last one, which is the promotion."""
    return next((step.weight for step in steps if step.weight > weight), TOTAL_WEIGHT)


def is_last(steps: Sequence[Step], weight: int) -> bool:
    """True when nothing but the promotion follows."""
    return all(step.weight <= weight for step in steps)


def awaits_approval(steps: Sequence[Step], weight: int, *, approved: int) -> bool:
    """True when the present step does not end before a person approves it."""
    index = current_step(steps, weight)
    return index >= 0 and steps[index].approval and approved < index


def hold_reason(steps: Sequence[Step], weight: int, *, observed_s: float, approved: int) -> str:
    """What the present step itself waits for, as a sentence; empty when it is done or there is none."""
    index = current_step(steps, weight)
    if index < 0:
        return ""
    step, name = steps[index], f"step {index + 1} of {len(steps)}"
    if awaits_approval(steps, weight, approved=approved):
        return f"{name} waits for an approval"
    if observed_s < step.min_duration:
        return f"{name} holds for {format_duration(step.min_duration)}"
    return ""


def percent(weight: int) -> str:
    """A share as people read it: 500 is "5 %"."""
    return f"{weight * 100 / TOTAL_WEIGHT:g} %"
