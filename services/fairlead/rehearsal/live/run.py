"""A rehearsal in real time, from beginning to end: refused if it cannot be, started, played, judged, and gone."""

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
from fairlead.rehearsal.live.load_generator import MOST_RATE
from fairlead.rehearsal.live.platform import LivePlatform
from fairlead.rehearsal.live.timeline import Timeline
from fairlead.rehearsal.result import Result, judged
from fairlead.rehearsal.schedule import Arm, most_instances

MOST_INSTANCES = 16
"""Each is a process."""


def perform(
    scenario: Scenario,
    *,
    seed: int,
    envoy_binary: Path | None = None,
    keep: Path | None = None,
    watch: Callable[[Frame], None] = lambda frame: None,
) -> Result:
    """Play the scenario with real processes in real time, and judge it.

    Ledger and logs are in a temporary folder, or in `keep`. Whatever happens, nothing that was started runs on.
    Raises FairleadError for what cannot be played here, KeyboardInterrupt when a signal ended it.
    """
    refuse_what_is_too_much(scenario)
    binary = envoy.find(envoy_binary)
    with _folder(keep) as folder, folder.locked():
        played = asyncio.run(_perform(scenario, folder, binary, seed, watch))
    return judged(played)


async def _perform(
    scenario: Scenario, folder: StateFolder, binary: Path, seed: int, watch: Callable[[Frame], None]
) -> Run:
    stage = LivePlatform(folder, scenario, binary, seed=seed)
    played: list[Run] = []

    async def play() -> None:
        played.append(await Timeline(scenario, stage, seed=seed, watch=watch).perform())
        stage.supervisor.end()

    try:
        await stage.supervisor.run(play)
    finally:
        stage.close()
    if not played:
        raise KeyboardInterrupt
    return played[0]


def refuse_what_is_too_much(scenario: Scenario) -> None:
    """Raises Invalid for what one machine cannot play honestly, naming the field."""
    hint = "leave out --real: virtual time has no such limit"
    if scenario.gateways > 1:
        raise errors.Invalid(f"gateways: {scenario.gateways}, and in real time there is one", hint=hint)
    for number, load in enumerate(scenario.load):
        if load.rate > MOST_RATE:
            why = f"load.{number}.rate: {load.rate:,g}, and in real time at most {MOST_RATE:g} requests/s are sent"
            raise errors.Invalid(why, hint=hint)
    count = sum(most_instances(scenario, arm) for arm in Arm)
    if count > MOST_INSTANCES:
        why = f"{count} instances, and in real time each is a process: at most {MOST_INSTANCES}"
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
