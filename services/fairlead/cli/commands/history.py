"""`fairlead history`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import console, make_table, moment, percent, print_json, say
from fairlead.cli.picture import table, terminal
from fairlead.contracts.base import as_query_time
from fairlead.contracts.revision import Cause, Check, Revision
from fairlead.store.base import Store
from fairlead.store.statuses import read_status
from fairlead.views import evidence_svg
from fairlead.views.attempt import Attempt, attempts

STDOUT = Path("-")
MAX_SHOWN = 500
"""The table shows this many characters of a reason."""


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    at: Annotated[
        str | None,
        typer.Option(help="Show what was served at a time, such as 2026-11-21T10:00:00Z (default zone: UTC)."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check that no revision in the ledger was changed.")] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Show each window's counts and the evidence of every gate.")
    ] = False,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the evidence of the newest attempt to an SVG file; - is stdout."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest revisions to show.")] = 20,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the ledger of a model: every routing table that was served, with its cause, actor and reason."""
    if verify and (evidence or svg or at):
        other = "--evidence" if evidence else "--svg" if svg else "--at"
        raise errors.Invalid(
            f"--verify and {other} cannot be used together: --verify prints no revisions", hint="run the command twice"
        )
    if evidence and svg == STDOUT:
        raise errors.Invalid(
            "--svg - and --evidence cannot be used together: both write to stdout", hint="name a file: --svg FILE"
        )
    store = connect(PlatformLocation(state, context, namespace)).store
    if verify:
        _verify(store, model, as_json)
        return
    revisions = [store.at(model, _parse(at))] if at else store.revisions(model, limit=limit)
    if not revisions:
        store.route(model)
        raise errors.NotFound(
            f"{model} has no revision yet: no version of it has been ready",
            hint=f"see what it waits for: fairlead status {model}",
        )
    if evidence or svg:
        since, checks = ((), ()) if at else (store.windows(model), _checks(store, model))
        found = attempts(model, revisions, since, checks)
        if evidence:
            _show_evidence(model, revisions, found, as_json=as_json)
        if svg:
            _write(svg, next((one for one in reversed(found) if one.windows), None), quiet=as_json or svg == STDOUT)
        return
    if as_json:
        print_json([revision.to_json() for revision in revisions])
        return
    columns = ("REVISION", "TIME", "CAUSE", "STABLE", "CANDIDATE", "WEIGHT", "MIRRORS", "ACTOR", "REASON")
    console().print(make_table(columns, (_row(revision) for revision in revisions)))


def _row(revision: Revision) -> tuple[str, ...]:
    table = revision.table
    mirrors = ", ".join(f"{mirror.version} {percent(mirror.share)}" for mirror in table.mirrors)
    return (
        revision.id,
        moment(revision.created_at),
        revision.cause.value,
        str(table.stable) if revision.cause is not Cause.REMOVED else "-",
        str(table.candidate or "-"),
        percent(table.weight) if table.candidate else "-",
        mirrors or "-",
        revision.actor,
        _cut(revision.reason),
    )


def _cut(reason: str) -> str:
    """A long reason would push all other revisions off the screen."""
    return reason if len(reason) <= MAX_SHOWN else f"{reason[:MAX_SHOWN]}... (--json shows all of it)"


def _checks(store: Store, model: str) -> tuple[Check, ...]:
    """The current checks of the gates."""
    status = read_status(store, model)
    return status.checks if status is not None else ()


def _write(to: Path, attempt: Attempt | None, *, quiet: bool) -> None:
    if attempt is None:
        raise errors.NotFound(
            "nothing was counted in these revisions, so there is no evidence to draw",
            hint="look at more revisions with --limit, or start a rollout: fairlead release MODEL VERSION",
        )
    if to == STDOUT:
        print(evidence_svg.draw(attempt))
        return
    try:
        to.write_text(evidence_svg.draw(attempt), encoding="utf-8")
    except OSError as error:
        raise errors.Invalid(
            f"--svg {to}: cannot be written: {error.strerror}", hint="name a file in a folder that you can write to"
        ) from None
    if not quiet:
        say(f"{to}: {attempt.title}, {len(attempt.windows)} windows")


def _show_evidence(model: str, revisions: Sequence[Revision], found: Sequence[Attempt], *, as_json: bool) -> None:
    """Print each attempt: its windows, how much evidence they are, and its end. Then draw the newest."""
    counted = [one for one in found if one.windows]
    if as_json:
        rows = ((one, name, window) for one in counted for name, window in zip(one.led_to, one.windows, strict=True))
        print_json([{"attempt": a.number, "revision": name or None, "window": w.to_json()} for a, name, w in rows])
        return
    for attempt in found:
        say(attempt.title)
        if attempt.windows:
            console().print(table.make(attempt))
        for sentence in table.conclusion(attempt):
            say(sentence)
        print()
    if not counted:
        say(_no_evidence(model, revisions, found))
    elif not all(map(table.is_empty, counted[-1].windows)):
        console().print(terminal.draw(counted[-1]), end="", soft_wrap=True)


def _no_evidence(model: str, revisions: Sequence[Revision], found: Sequence[Attempt]) -> str:
    span = revisions[0].id if len(revisions) == 1 else f"{revisions[0].id} to {revisions[-1].id}"
    why = "no request was counted in a rollout" if found else "there was no rollout in them"
    return f"{model}: revisions {span} contain no evidence: {why}; --limit shows older revisions"


def _verify(store: Store, model: str, as_json: bool) -> None:
    broken = store.verify(model)
    checkpoint = store.checkpoint(model)
    revisions = store.revisions(model)
    if as_json:
        pruned = checkpoint.to_json() if checkpoint else None
        print_json({"model": model, "revisions": len(revisions), "checkpoint": pruned, "broken": broken})
    if broken:
        raise errors.FairleadError(
            f"the ledger of {model} is broken: {broken}", hint=f"look at the revisions: fairlead history {model} --json"
        )
    if not as_json:
        start = f"the checkpoint after revision {checkpoint.seq}" if checkpoint else "its beginning"
        say(f"{model}: {len(revisions)} revisions, the chain holds from {start}")


def _parse(text: str) -> datetime:
    try:
        return as_query_time(datetime.fromisoformat(text))
    except ValueError:
        raise errors.Invalid(f"--at {text}: not a time", hint="write it like 2026-11-21T10:00:00Z") from None
