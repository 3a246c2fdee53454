"""Runs a rehearsal in real time: checks its limits, starts the platform, plays the scenario, judges, and cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from fairlead import errors
from fairlead.contracts.scenario import Scenario
from fairlead.local import envoy
from fairlead.local.state import StateFolder
from fairlead.rehearsal.frames import Frame, Run
from fairlead.rehearsal.live.load_generator import MAX_IN_FLIGHT, MAX_RATE
from fairlead.rehearsal.live.platform import LivePlatform
from fairlead.rehearsal.live.timeline import Timeline
from fairlead.rehearsal.result import Result, result_of
from fairlead.rehearsal.schedule import VersionRole, max_instances, mean_latency

MAX_INSTANCES = 16
"""Each instance is a process."""


def rehearse_live(
    scenario: Scenario,
    *,
    seed: int,
    envoy_binary: Path | None = None,
    keep: Path | None = None,
    watch: Callable[[Frame], None] = lambda frame: None,
) -> Result:
    """Play the scenario with real processes in real time, and judge it.

    Ledger and logs are in a temporary folder, or in `keep`. Every process that was started has ended when this returns
    or raises. Raises FairleadError when the scenario cannot be played here, and KeyboardInterrupt after a signal.
    """
    check_limits(scenario)
    binary = envoy.find(envoy_binary)
    with _folder(keep) as folder, folder.locked():
        played = asyncio.run(_play(scenario, folder, binary, seed, watch))
    return result_of(played)


async def _play(
    scenario: Scenario, folder: StateFolder, binary: Path, seed: int, watch: Callable[[Frame], None]
) -> Run:
    platform = LivePlatform(folder, scenario, binary, seed=seed)
    played: list[Run] = []

    async def play() -> None:
        played.append(await Timeline(scenario, platform, seed=seed, watch=watch).play())
        platform.supervisor.end()

    try:
        await platform.supervisor.run(play)
    finally:
        platform.close()
    if not played:
        raise KeyboardInterrupt
    return played[0]


def check_limits(scenario: Scenario) -> None:
    """Raises Invalid, naming the field, when a scenario is too large to be played on one machine in real time."""
    hint = "leave out --real: in virtual time there is no such limit"
    if scenario.gateways > 1:
        raise errors.Invalid(f"gateways: {scenario.gateways}; in real time there is one gateway only", hint=hint)
    for number, load in enumerate(scenario.load):
        if load.rate > MAX_RATE:
            why = f"load.{number}.rate: {load.rate:,g}; in real time the maximum is {MAX_RATE:g} requests/s"
            raise errors.Invalid(why, hint=hint)
    _check_open_requests(scenario, hint)
    count = sum(max_instances(scenario, role) for role in VersionRole)
    if count > MAX_INSTANCES:
        why = f"{count} instances of both versions; in real time each is a process, and the maximum is {MAX_INSTANCES}"
        raise errors.Invalid(why, hint=hint)


def _check_open_requests(scenario: Scenario, hint: str) -> None:
    """Slow versions have many requests open at a time; the load generator would count those above its limit as bad."""
    changes = (change for event in scenario.events for change in (event.candidate, event.stable, event.both))
    behaviours = [scenario.stable, scenario.candidate, *(change for change in changes if change is not None)]
    slowest = max(min(mean_latency(one.latency), scenario.timeouts.request) for one in behaviours)
    for number, load in enumerate(scenario.load):
        if (open_requests := load.rate * slowest) > MAX_IN_FLIGHT:
            why = (
                f"load.{number}.rate: {load.rate:,g} requests/s that take {slowest:.2g} s each are "
                f"{open_requests:,.0f} at a time; in real time the maximum is {MAX_IN_FLIGHT}"
            )
            raise errors.Invalid(why, hint=hint)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[StateFolder]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="fairlead-rehearsal-", ignore_cleanup_errors=True) as root:
            folder = StateFolder(Path(root))
            folder.create()
            yield folder
        return
    folder = StateFolder(keep)
    if folder.ledger.exists():
        raise errors.Conflict(f"{keep} has a ledger already", hint="name a new folder with --keep")
    folder.create()
    yield folder
