"""Steps of a strategy: the current one, the next one, and what the current one waits for.

Steps are found by weight and not by number, so that the next step always raises the weight.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.base import format_duration
from fairlead.contracts.route import TOTAL_WEIGHT, Step


def current_step(steps: Sequence[Step], weight: int) -> int:
    """The index of the highest step that the weight has reached; -1 before the first."""
    return sum(step.weight <= weight for step in steps) - 1


def next_weight(steps: Sequence[Step], weight: int) -> int:
    """The weight of the next step; the whole weight after the last one, which is the promotion."""
    return next((step.weight for step in steps if step.weight > weight), TOTAL_WEIGHT)


def is_last(steps: Sequence[Step], weight: int) -> bool:
    """True when only the promotion follows."""
    return all(step.weight <= weight for step in steps)


def awaits_approval(steps: Sequence[Step], weight: int, *, approved: int) -> bool:
    """True when the current step waits for an approval."""
    index = current_step(steps, weight)
    return index >= 0 and steps[index].approval and approved < index


def hold_reason(steps: Sequence[Step], weight: int, *, observed_s: float, approved: int) -> str:
    """What the current step itself waits for, as a sentence; empty if it is done or there is none."""
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
    """A weight as a percentage: 500 is "5 %"."""
    return f"{weight * 100 / TOTAL_WEIGHT:g} %"
