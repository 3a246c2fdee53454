"""What is said of a certificate that ends soon, or has ended."""

from __future__ import annotations

from datetime import timedelta

from fairlead.cli.doctor.finding import Finding, problem, warning

SOON = timedelta(days=14)


def ends_soon(what: str, left: timedelta, do: str) -> Finding:
    """The finding for a certificate that is valid for less than SOON."""
    why = "clients that verify it get no answer after that"
    if left <= timedelta():
        return problem(f"{what} ended {_days(-left)} ago", "clients that verify it get no answer", do)
    return warning(f"{what} ends in {_days(left)}", why, do)


def _days(span: timedelta) -> str:
    hours = round(span.total_seconds() / 3600)
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
