"""What an alert is, and the words that summaries share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["page", "ticket", "info"]
MODEL_NAME = "{{ $labels.model }}"
VERSION = "{{ $labels.version }}"
PERCENT = "{{ $value | humanizePercentage }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `wait` is how long the expression must hold. `summary` may name labels of the expression's series."""

    name: str
    severity: Severity
    wait: str
    summary: str
    expression: str
