"""`fairlead replay`."""

from __future__ import annotations

import base64
import importlib
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.progress import Progress

from fairlead import errors
from fairlead.cli import optimization_table
from fairlead.cli.output import console, make_table, print_json, say
from fairlead.cli.without_tls import refuse_tls
from fairlead.contracts import json_text

MOST_REVISIONS = 5
"""Revisions of the route that are shown, those that agree least first."""

if TYPE_CHECKING:
    from fairlead.replay.result import Latency, Result


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="DIR | URL",
            help="Who is asked: a model folder; a gateway, http://HOST:PORT; or a service, http://HOST:PORT/predict.",
        ),
    ],
    source: Annotated[
        Path, typer.Option("--from", metavar="RECORDING", help="A file or folder that `fairlead recording` knows.")
    ],
    against: Annotated[
        str | None,
        typer.Option(metavar="DIR | URL", help="Compare with the answers of this one now, not with recorded ones."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="Which model's requests, if the recording has several."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="VERSION", help="Ask this version of the gateway's, whatever the weights are."
        ),
    ] = None,
    requests: Annotated[
        int, typer.Option(min=1, metavar="COUNT", help="Send so many requests: evenly spaced ones of more.")
    ] = 1000,
    fill: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=JSON", help="Send this value for a field that the recording hides; @FILE: a file."),
    ] = None,
    min_agreement: Annotated[float, typer.Option(min=0, max=1, help="The least share of rows that must agree.")] = 0.99,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="How far numbers may differ, of their range; the manifest's rtol."
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="FAIRLEAD_KEY", help="The key to send to a gateway that asks for one.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Send the requests of a recording again, and compare the answers.

    Each request is sent once, one after another, and each row's answer is compared with the recorded one: classes are
    equal or not, numbers may differ by the tolerance. Exit code 4 if fewer rows than --min-agreement agree.
    """
    refuse_tls(os.environ, "fairlead replay")
    if version is not None and Path(target).is_dir():
        raise errors.Invalid("--version is for a gateway; a folder is one version", hint="Leave out --version.")
    targets, run = (importlib.import_module(f"fairlead.replay.{name}") for name in ("targets", "run"))
    wanted = run.Wanted(source, model, requests, dict(map(_filled, fill or [])), tolerance, min_agreement)
    asked = targets.Target(target, version, key, timeout)
    other = targets.Target(against, None, key, timeout) if against is not None else None
    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("asking", total=1.0)
        found: Result = run.replay(asked, other, wanted, lambda share: progress.update(task, completed=share))
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    if found.reason:
        raise errors.Refused(
            f"{found.model} {found.candidate} does not answer as {found.original}: {found.reason}", hint=_hint(found)
        )


def _hint(found: Result) -> str:
    if found.hidden:
        return (
            f"The recording hides {', '.join(found.hidden)}. Compare two versions with the same values in their place: "
            f"--fill {found.hidden[0]}=JSON --against DIR."
        )
    if found.is_unanswered:
        return "No request was answered: check the address, --model, --version and --key."
    return "Accept less with --min-agreement, or larger differences of numbers with --tolerance."


def _show(found: Result) -> None:
    parts: Sequence[RenderableType] = [
        make_table(("", "ORIGINAL", "REPLAYED", ""), _rows(found)),
        *optimization_table.answers_of(found.compared),
    ]
    console().print(Group(*parts))
    if found.hidden:
        say(f"hidden in the recording, and not compared: {', '.join(found.hidden)}")
    if found.unreadable:
        say(f"{found.unreadable} lines of the recording cannot be read, and were left out")


def _rows(found: Result) -> Iterator[tuple[str, ...]]:
    one = found.compared
    yield "version", found.original, found.candidate, f"{found.model}, {found.requests} requests"
    if one.differences:
        said = f"on {len(one.differences)} rows; on others, at least {one.sure:.3g} is sure"
        yield "rows that agree", "", f"{one.agreement:.2%}", said
    if one.unanswered:
        yield "rows without an answer", str(one.unanswered), "", "not compared"
    revisions = found.by_revision
    for of in revisions[:MOST_REVISIONS]:
        yield f"of {of.revision}", "", f"{of.agreeing / of.rows:.2%}", f"on {of.rows} rows"
    if len(revisions) > MOST_REVISIONS:
        yield f"of {len(revisions) - MOST_REVISIONS} others", "", "", "they agree more: --json has all"
    for name, was, now in _latencies(found.original_latency, found.candidate_latency):
        yield name, was, now, "one request after another" if name == "p50" else ""


def _latencies(was: Latency, now: Latency) -> Iterator[tuple[str, str, str]]:
    yield "p50", _ms(was.p50_ms), _ms(now.p50_ms)
    yield "p95", _ms(was.p95_ms), _ms(now.p95_ms)


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if math.isfinite(value) else "-"


def _filled(given: str) -> tuple[str, Any]:
    """A field and its value. Raises Invalid."""
    name, equals, value = given.partition("=")
    hint = """write --fill age=30, --fill 'name="Ada"' or --fill image=@picture.jpg"""
    if not equals or not name:
        raise errors.Invalid(f"--fill {given!r} has no field and value", hint=hint)
    if value.startswith("@"):
        try:
            return name, base64.b64encode(Path(value[1:]).read_bytes()).decode()
        except OSError as cause:
            raise errors.Invalid(f"--fill: {value[1:]} cannot be read: {cause.strerror}", hint=hint) from cause
    try:
        return name, json_text.read(value)
    except ValueError:
        raise errors.Invalid(f"--fill {name}: {json.dumps(value)[:60]} is no JSON", hint=hint) from None
