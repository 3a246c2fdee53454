"""Shows a route's health in words, with the one command that helps."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fairlead.cli.options import DEFAULT_STATE, PlatformLocation
from fairlead.cli.output import ago
from fairlead.cli.state_age import StateAge
from fairlead.contracts.health import Health, Mark, health_of
from fairlead.contracts.status import Status


def cell(health: Health, now: datetime, age: StateAge) -> str:
    """The mark for a table, with its duration where it is not good: `serving`, `down 3m`.

    `was serving` if the state is old; `stopped` if the platform is: its last state has instances that it stopped.
    """
    if age.is_stopped:
        return "stopped"
    if age.problem:
        return f"was {health.mark}"
    timed = health.mark in (Mark.DOWN, Mark.DEGRADED) and health.since is not None
    return f"{health.mark} {ago(health.since, now)}" if timed and health.since else str(health.mark)


def lines(status: Status, location: PlatformLocation, now: datetime) -> list[str]:
    """Why the route does not serve fully, and the command that helps; empty if nothing is to be done."""
    health = health_of(status)
    found = []
    if health.mark in (Mark.DOWN, Mark.DEGRADED):
        since = f" for {ago(health.since, now)}" if health.since is not None else ""
        found.append(f"{status.route} is {health.mark}{since}: {health.reason}")
    if step := next_step(health, location):
        found.append(f"next for {status.route}: {step}")
    return found


def next_step(health: Health, location: PlatformLocation) -> str:
    """The command that helps; where no command of a model does, because no gateway answers, what to read instead."""
    return command_of(health, location) or (_where_gateways_are(location) if health.is_down else "")


def _where_gateways_are(location: PlatformLocation) -> str:
    if not location.in_cluster:
        return f"read {location.state / 'logs' / 'gateway.log'}"
    options = [f"--context {location.context}"] if location.context else []
    options += [f"--namespace {location.namespace}"] if location.namespace else []
    return " ".join(("kubectl get pods --selector app.kubernetes.io/component=gateway", *options))


def command_of(health: Health, location: PlatformLocation) -> str:
    """The command with the options that name this platform; empty if there is none."""
    return with_options(health.command, location) if health.command else ""


def with_options(command: str, location: PlatformLocation) -> str:
    """A command with the options that name this platform."""
    options = [f"--context {location.context}"] if location.context else []
    options += [f"--namespace {location.namespace}"] if location.namespace else []
    if not location.in_cluster and Path(location.state) != DEFAULT_STATE:
        options.append(f"--state {location.state}")
    return " ".join((command, *options))
