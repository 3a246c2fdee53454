"""Texts and places of labels in a picture: they are shortened, wrapped and moved apart, so that none covers another."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

BADGE_DISTANCE = 20.0


def shortened(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def wrapped(text: str, width: int, *, lines: int) -> list[str]:
    """The text in at most so many lines; an ellipsis says that more follows."""
    return textwrap.wrap(text, width, max_lines=lines, placeholder=" …") or [""]


def spread(places: Sequence[float], distance: float) -> list[float]:
    """Positions in the same order, each at least `distance` after the one before."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    out, before = list(places), float("-inf")
    for at in order:
        out[at] = before = max(places[at], before + distance)
    return out


def badges(places: Sequence[float], low: float, high: float) -> list[float]:
    """Positions of badges near their places, apart from each other and within the limits, as far as these have room."""
    distance = min(BADGE_DISTANCE, (high - low) / max(1, len(places) - 1))
    out = spread(places, distance)
    beyond = high
    for at in sorted(range(len(out)), key=lambda at: out[at], reverse=True):
        out[at] = max(low, min(out[at], beyond))
        beyond = out[at] - distance
    return out
