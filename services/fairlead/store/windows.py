"""The limit on the number of stored windows since the last revision, for all stores."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.window import Window

MAX_WINDOWS = 240
"""Twenty minutes of five-second windows. Older windows are merged: they lose resolution but no counts."""


def condensed(windows: Sequence[Window]) -> tuple[Window, ...]:
    """At most MAX_WINDOWS windows: if there are more, the older half is merged pairwise."""
    if len(windows) <= MAX_WINDOWS:
        return tuple(windows)
    older, newer = windows[: MAX_WINDOWS // 2], windows[MAX_WINDOWS // 2 :]
    return (*(one.merged(other) for one, other in zip(older[::2], older[1::2], strict=True)), *newer)
