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
from fairlead.cli.output import console, make_table, percent, print_json, say, text
from fairlead.contracts.base import format_duration
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.frames import TICK_S, Frame
from fairlead.rehearsal.live.run import rehearse_live
from fairlead.rehearsal.result import Result
from fairlead.rehearsal.scenario_files import built_in_scenarios, find, text_of
from fairlead.rehearsal.virtual.run import rehearse

SEEDS_SHOWN = 8


def command(
    scenario: Annotated[
        str | None,
        typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in scenario."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the random numbers; default: the scenario's.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="How many runs, each with the next seed.")] = 1,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="The share of the runs in which each expectation must hold.")
    ] = 1.0,
    list_built_in: Annotated[bool, typer.Option("--list", help="List the built-in scenarios.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the scenario; play nothing.")] = False,
    real: Annotated[
        bool, typer.Option("--real", help="Play it in real time, with a real gateway and stub versions.")
    ] = False,
    keep: Annotated[Path | None, typer.Option(help="With --real: keep ledger and logs in this new folder.")] = None,
    envoy: Annotated[
        Path | None, typer.Option(help="With --real: an Envoy binary; default: the installed one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Test a rollout before a release: play a scenario with simulated traffic and faults, and check its expectations.

    Exit code 0 when every expectation held, else 1. By default the scenario is
    played in virtual time, which takes seconds and starts no process. With
    --real, a separate platform on free ports plays it in real time.
    """
    if list_built_in:
        _list(as_json)
        return
    if scenario is None:
        raise errors.Invalid("no scenario is given", hint="list the built-in scenarios: fairlead rehearse --list")
    if show:
        print(text_of(scenario), end="")
        return
    chosen = find(scenario)
    first = chosen.seed if seed is None else seed
    if (keep or envoy) and not real:
        raise errors.Invalid("--keep and --envoy need --real", hint=f"add it: fairlead rehearse {scenario} --real")
    if real and runs > 1:
        raise errors.Invalid(
            "--runs cannot be used with --real: a scenario is played once in real time", hint="leave out one of them"
        )
    found = [_run_live(chosen, first, keep, envoy)] if real else _run_virtual(chosen, range(first, first + runs))
    passed = all(_held(found, at) >= least for at in range(len(chosen.expect)))
    if as_json:
        print_json({"scenario": chosen.name, "held": passed, "runs": [one.to_json() for one in found]})
    elif runs == 1:
        _show(found[0], chosen)
    else:
        _show_many(chosen, found)
    if not as_json:
        say(f"{chosen.name}: {'every expectation held' if passed else 'not every expectation held'}")
    raise typer.Exit(exit_codes.OK if passed else exit_codes.FAILED)


def _run_virtual(scenario: Scenario, seeds: Sequence[int]) -> list[Result]:
    # Progress goes to standard error, and only to a terminal: a pipe gets nothing but the result.
    stderr = Console(stderr=True)
    disabled = len(seeds) == 1 or not stderr.is_terminal
    shown = track(seeds, "rehearsing", console=stderr, transient=True, disable=disabled)
    return [rehearse(scenario, seed=one) for one in shown]


def _run_live(scenario: Scenario, seed: int, keep: Path | None, envoy: Path | None) -> Result:
    stderr = Console(stderr=True, highlight=False)
    limit = format_duration(scenario.duration)
    stderr.print(text(f"{scenario.name}: playing in real time with real processes, at most {limit} plus startup"))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("starting gateway, control plane and stub versions", total=scenario.duration)

        def watch(frame: Frame) -> None:
            progress.update(task, completed=frame.at_s, description=f"{percent(frame.weight)}, {frame.outcome}")

        try:
            return rehearse_live(scenario, seed=seed, keep=keep, envoy_binary=envoy, watch=watch)
        except KeyboardInterrupt:
            stderr.print("interrupted; all processes that were started have ended")
            raise


def _held(found: Sequence[Result], at: int) -> float:
    return sum(run.judgements[at].held for run in found) / len(found)


def _list(as_json: bool) -> None:
    if as_json:
        print_json([{"name": one.name, "description": one.description} for one in built_in_scenarios()])
        return
    console().print(
        make_table(("NAME", "WHAT IT SHOWS"), ((one.name, one.description) for one in built_in_scenarios()))
    )


def _show(run: Result, scenario: Scenario) -> None:
    rows = ((format_duration(round(line.at_s)), percent(line.weight), line.what, line.why) for line in run.report)
    judged = (("yes" if one.held else "NO", str(one.expectation), one.seen) for one in run.judgements)
    counts = run.counts
    counted = (
        f"\n{counts.requests:,} requests, {counts.bad:,} bad responses to users; the candidate was given "
        f"{counts.candidate_requests:,} of them and failed {counts.candidate_failed:,}"
    )
    shown = (
        make_table(("TIME", "WEIGHT", "WHAT", "WHY"), rows),
        Text(),
        make_table(("HELD", "EXPECTED", "SEEN"), judged),
    )
    if run.seconds + TICK_S <= scenario.duration:
        played, whole = format_duration(run.seconds), format_duration(scenario.duration)
        counted += f"\nplayed {played} of {whole}: the rollout had ended, and no action was left that could change it"
    console().print(Group(*shown, text(counted)))


def _show_many(scenario: Scenario, found: Sequence[Result]) -> None:
    def row(at: int) -> tuple[str, ...]:
        failed = [run for run in found if not run.judgements[at].held]
        seeds = ", ".join(str(run.seed) for run in failed[:SEEDS_SHOWN]) + (", ..." if failed[SEEDS_SHOWN:] else "")
        share = f"{len(found) - len(failed)} of {len(found)}"
        return (share, str(scenario.expect[at]), f"seed {seeds}" if failed else "")

    console().print(make_table(("HELD", "EXPECTED", "FAILED IN"), map(row, range(len(scenario.expect)))))
