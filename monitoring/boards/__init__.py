"""The four dashboards: every model, one model, one rollout, and the platform itself."""

from __future__ import annotations

from monitoring.boards import fleet, model, platform, rollout
from monitoring.panels import Dashboard
from monitoring.recording import Records
from monitoring.settings import Settings


def dashboards(settings: Settings) -> tuple[Dashboard, ...]:
    """All dashboards. The window of recorded rates is that of the settings."""
    records = Records(settings)
    return fleet.board(records), model.board(records), rollout.board(records), platform.board(records)
