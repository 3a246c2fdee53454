"""A small curve of numbers as SVG, with its text. The same numbers give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 96, 20, 1.5


def draw(values: Sequence[float], what: str, seconds: float) -> str:
    """The curve from zero, the newest value at the right edge. Empty without two values.

    `what` is the unit after a number, `seconds` the time between two values. Screen readers get the newest number and
    the highest in place of the curve.
    """
    if len(values) < 2:  # noqa: PLR2004 - a curve has two ends
        return ""
    most = max(values)
    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    height = HEIGHT - 2 * EDGE
    points = " ".join(
        f"{EDGE + at * step:.1f},{HEIGHT - EDGE - (height * one / most if most else 0):.1f}"
        for at, one in enumerate(values)
    )
    lasted = seconds * (len(values) - 1)
    since = f"{lasted / 60:.0f} minutes" if lasted >= 90 else f"{lasted:.0f} seconds"  # noqa: PLR2004
    label = f"{amount(values[-1])} {what} now, at most {amount(most)} in the last {since}"
    return (
        f'<svg class="sparkline" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{label}"><polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5" '
        'stroke-linejoin="round"/></svg>'
    )


def amount(value: float) -> str:
    """A number in as few digits as tell it: 0, 0.4, 12, 1,234."""
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"  # noqa: PLR2004
