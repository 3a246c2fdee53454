"""Checks of gates as the pages show them: now, and as the evidence of a revision. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.contracts.base import format_e_value
from fairlead.contracts.revision import Check
from fairlead.views.attempt import HARM, SAFE


@dataclass(frozen=True, slots=True)
class Meter:
    """Evidence against its threshold. `part` of the threshold, as a logarithm, is reached: 0 to 1."""

    value: str
    threshold: str
    effect: str
    part: float

    @property
    def is_reached(self) -> bool:
        """Whether it has its effect."""
        return self.part >= 1


@dataclass(frozen=True, slots=True)
class GateRow:
    """One gate. The meters are None for a gate that is no test."""

    gate: str
    verdict: str
    reason: str
    harm: Meter | None
    safe: Meter | None


def gate_row(check: Check) -> GateRow:
    """What is shown of a check."""
    # Evidence of harm that does not fail the gate may be of too few windows: the reason says so.
    numbers = check.numbers
    meters = (_meter(numbers, "log_harm", "harm_at", HARM), _meter(numbers, "log_safe", "safe_at", SAFE))
    return GateRow(check.gate, check.verdict.value, check.reason, *meters)


def _meter(numbers: dict[str, float], value: str, threshold: str, effect: str) -> Meter | None:
    if value not in numbers or numbers.get(threshold, 0.0) <= 0:
        return None
    log_e, enough = numbers[value], numbers[threshold]
    part = min(1.0, max(0.0, log_e / enough))
    return Meter(format_e_value(log_e), format_e_value(enough), effect, part)
