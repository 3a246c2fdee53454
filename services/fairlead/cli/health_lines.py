"""Shows a route's health in words, with the one command that helps."""

from __future__ import annotations

from datetime import datetime

from fairlead.cli.options import PlatformLocation
from fairlead.cli.state_age import StateAge
from fairlead.contracts.health import Health, Mark, health_of
from fairlead.contracts.status import Status
from fairlead.views import health as views


def cell(health: Health, now: datetime, age: StateAge) -> str:
    """The mark for a table, with its duration where it is not good: `serving`, `down 3m`.

    `was serving` if the state is old; `stopped` if the platform is: its last state has instances that it stopped.
    """
    if age.is_stopped:
        return "stopped"
    if age.problem:
        return f"was {health.mark}"
    return views.mark(health, now)


def lines(status: Status, location: PlatformLocation, now: datetime) -> list[str]:
    """Why the route does not serve fully, and the command that helps; empty if nothing is to be done."""
    health = health_of(status)
    found = []
    if health.mark in (Mark.DOWN, Mark.DEGRADED):
        found.append(f"{status.route} is {location.in_text(views.in_words(health, now))}")
    if step := next_step(health, location):
        found.append(f"next for {status.route}: {step}")
    return found


def next_step(health: Health, location: PlatformLocation) -> str:
    """The command that helps; where no command of a model does, because no gateway answers, what to read instead."""
    return views.next_step(health, location.with_options, _where_gateways_are(location))


def _where_gateways_are(location: PlatformLocation) -> str:
    if not location.in_cluster:
        return f"read {location.state / 'logs' / 'gateway.log'}"
    return location.with_options("kubectl get pods --selector app.kubernetes.io/component=gateway")
