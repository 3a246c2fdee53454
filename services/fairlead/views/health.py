"""A route's health in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fairlead.contracts.health import Health, Mark
from fairlead.views.amounts import ago


def mark(health: Health, now: datetime) -> str:
    """The mark for a table, with its duration where it is not good: `serving`, `down 3m`."""
    timed = health.mark in (Mark.DOWN, Mark.DEGRADED) and health.since is not None
    return f"{health.mark} {ago(health.since, now)}" if timed and health.since else str(health.mark)


def in_words(health: Health, now: datetime) -> str:
    """The mark, since when, and why: `down for 3m: 1.0.0 has no ready instance`."""
    since = f" for {ago(health.since, now)}" if health.since is not None else ""
    return f"{health.mark}{since}: {health.reason}"


def next_step(health: Health, with_options: Callable[[str], str], gateways: str) -> str:
    """The command that helps, with the options that name the platform; empty if nothing is to be done.

    Where no command of a model helps, because no gateway answers, it is `gateways`: how these are looked at.
    """
    if health.command:
        return with_options(health.command)
    return gateways if health.is_down else ""
