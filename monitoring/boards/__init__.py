"""The six dashboards: every model, one model, its drift, one rollout, capacity, and the platform itself."""

from __future__ import annotations

from monitoring.boards import capacity, drift, fleet, model, platform, rollout
from monitoring.panels import Dashboard
from monitoring.recording import Records
from monitoring.settings import Settings


def dashboards(settings: Settings) -> tuple[Dashboard, ...]:
    """All dashboards. The window of recorded rates is that of the settings."""
    records = Records(settings)
    return tuple(one.board(records) for one in (fleet, model, drift, rollout, capacity, platform))
