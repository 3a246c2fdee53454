"""The results of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "warned", "failed", "skipped"]
NOT_PROVED = "not proved: "
"""How the message of a check begins that found nothing wrong, but could not show what it is there to show."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `message` is the reason, `hint` says what to do about it."""

    check: str
    outcome: Outcome
    message: str
    hint: str = ""


def is_fit(findings: Sequence[Finding]) -> bool:
    """Whether the folder can be served: no check failed. Warnings do not count."""
    return all(finding.outcome != "failed" for finding in findings)


def not_proved(findings: Sequence[Finding]) -> list[str]:
    """The names of the checks that could not show what they are there to show."""
    return [finding.check for finding in findings if finding.message.startswith(NOT_PROVED)]


def skipped(name: str, missing: Sequence[str]) -> Finding:
    """The finding of a check that needs others which did not pass."""
    return Finding(name, "skipped", f"needs: {', '.join(missing)}")
