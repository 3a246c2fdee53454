"""`fairlead profile`."""

from __future__ import annotations

import enum
import importlib
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fairlead import errors
from fairlead.cli.checking import printing_apart
from fairlead.cli.output import console, print_json, say, text
from fairlead.contracts import manifest_file
from fairlead.contracts.base import seconds_of
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import MISSING, CategoryFeature, Feature, Profile, read, to_text

LIVE_ROWS = 500
"""The live rows for which `show` says which PSI is more than chance."""
_HALVES = 0.1
"""The PSI of two halves of the reference that matters."""
_VALUES = 4
_EDGES = "Name the profile.json in the folder of another version; `fairlead profile build` writes it."


class Action(enum.StrEnum):
    """What to do with the profile."""

    BUILD = "build"
    SHOW = "show"


def command(
    action: Annotated[Action, typer.Argument(metavar="build|show", help="Build the profile, or show it.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rows that the model was not trained on: CSV with a header, Parquet, or a folder of image files.",
        ),
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option("--from", metavar="RECORDING", help="Recorded requests in place of --data: a file or a folder."),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="With --from: only requests of so long after the first one: 24h, 7d."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the profile here, and leave the folder as it is.")
    ] = None,
    edges_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The profile.json of another version: use its bins, to compare both."),
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A field to measure; without it, all that can be.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column with what is true of each row: how good the model is."),
    ] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="NAME:FIELD=VALUES",
            help="Rows to count by themselves too: `old: built=..1950` or `south: city=Ulm,Bonn`; up to 8.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile as JSON.")] = False,
) -> None:
    """Build a model's reference profile for drift, or show it.

    A profile has the distribution of the inputs and of the model's answers on rows that it was not trained on, such as
    held-out ones. `build` asks the model for its answers and writes profile.json into the folder, which then is another
    one: its digest changes. The service counts its rows in the same bins. With --from the rows are requests that were
    recorded: a baseline of what was served, and marked as one.
    """
    manifest = manifest_file.read(folder)
    if action is Action.SHOW:
        if manifest.profile is None:
            raise errors.NotFound(
                f"{folder} has no profile: drift is not measured",
                hint=_again(folder),
            )
        found = read(folder / manifest.profile, str(folder / manifest.profile), _again(folder))
        _warn_of_another(found, manifest, folder)
    else:
        found = _build(folder, _source(data, recorded, first), out, edges_from, feature or [], labels, slices or [])
    if as_json:
        print_json(found.to_json())
    elif action is Action.SHOW:
        console().print(_table(found))
        for one in found.slices:
            say(f"slice {one.name}: {one.text}, {one.rows} rows")
        quality = f", {found.quality.described}" if found.quality else ""
        rows = f"{found.rows} {'recorded ' if found.recorded else ''}rows"
        say(f"{found.model} {found.version}: {rows}{f' of {found.data}' if found.data else ''}{quality}")


@dataclass(frozen=True)
class _Source:
    """Where the rows come from: a file, or a recording and how many seconds of it."""

    file: Path
    is_recording: bool = False
    first_s: float | None = None


def _source(data: Path | None, recorded: Path | None, first: str | None) -> _Source:
    if data is not None and recorded is not None:
        raise errors.Invalid("--data and --from both name rows", hint="Give one of them.")
    if first is not None and recorded is None:
        raise errors.Invalid("--first is for recorded requests", hint="Name them: --from RECORDING.")
    if recorded is not None:
        return _Source(recorded, is_recording=True, first_s=_seconds(first))
    if data is None:
        raise errors.Invalid(
            "`fairlead profile build` needs rows",
            hint="Name a file with them, --data FILE, or recorded requests, --from RECORDING.",
        )
    return _Source(data)


def _seconds(given: str | None) -> float | None:
    if given is None:
        return None
    found = seconds_of(given)
    if not found:
        raise errors.Invalid(f"--first: {given!r} is no duration", hint="Write 24h, 7d or 90m.")
    return found


def _build(
    folder: Path,
    source: _Source,
    out: Path | None,
    edges_from: Path | None,
    only: list[str],
    labels: str | None,
    slices: list[str],
) -> Profile:
    data = source.file
    if source.is_recording and labels:
        raise errors.Invalid("--labels: a recording has no column with what is true", hint="Send labels as feedback.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # batches are small; the libraries read it when imported
    reading, building, folders = (
        importlib.import_module(f"fairlead.serving.{name}")
        for name in ("reference.data", "reference.build", "formats.folder")
    )
    other = read(edges_from, f"--edges-from {edges_from}", _EDGES) if edges_from else None
    with (
        printing_apart() as asked,
        # Not Console(stderr=True): that would write where the model's own output is redirected to.
        Progress(console=Console(file=sys.stderr), transient=True) as progress,
        redirect_stdout(cast(TextIO, asked)),
        redirect_stderr(cast(TextIO, asked)),
    ):
        model = folders.load_folder(folder, profiled=False)
        if source.is_recording:
            rows = importlib.import_module("fairlead.serving.reference.recorded").rows_of(data, model, source.first_s)
        else:
            rows = reading.rows_of(data, model)
        photos = rows if isinstance(rows, reading.Photos) else None
        truth = reading.labels_of(data, labels, model) if labels else ()
        task = progress.add_task("asking the model", total=len(rows))
        built = building.build(
            model,
            rows,
            data=data.name,
            recorded=source.is_recording,
            only=only,
            edges_from=other,
            truth=truth,
            slices=slices,
            advance=lambda count: progress.advance(task, count),
            source=(lambda place: str(photos.files[place])) if photos else lambda _: "",
        )
    if photos and photos.others:
        say(f"{photos.others} files of {data} are no images by their names, and are not read", to=sys.stderr)
    if out is None:
        file = building.save(folder, built.profile)
    else:
        file = out
        _write(out, to_text(built.profile))
    _say(built, file, building.FEW_ROWS)
    return cast(Profile, built.profile)


def _say(built: Any, file: Path, few: int) -> None:
    """What was written on standard output, what is missing from it on standard error."""
    found = built.profile
    say(f"{file}: written, with {found.described}", to=sys.stderr)
    if built.refused:
        say(f"{built.refused} rows are not in it: the model does not answer them: {built.why}", to=sys.stderr)
    for name, why in built.left_out.items():
        say(f"{name} is not measured: {why}", to=sys.stderr)
    for one in found.every:
        if one.halves is not None and one.halves > max(_HALVES, found.halves_chance(one)):
            say(
                f"warning: {one.name}: the first half of the rows is not as the second, by a PSI of {one.halves:.2f}: "
                "live rows that are like one of them will look drifted. Give rows of one time, or mix them",
                to=sys.stderr,
            )
    if found.rows < few:
        chance = max((one.critical * (1 / LIVE_ROWS + 1 / found.rows) for one in found.every), default=0.0)
        what = f"a PSI up to {chance:.2f} can be chance; " if chance else ""
        say(f"warning: {found.rows} rows are few: {what}{few} rows or more show less", to=sys.stderr)


def _again(folder: Path) -> str:
    return f"Build it: fairlead profile build {folder} --data FILE"


def _warn_of_another(found: Profile, manifest: Manifest, folder: Path) -> None:
    """Say that the service will refuse this profile."""
    artifact = manifest.artifact.sha256 if manifest.artifact else ""
    if (found.model, found.version, found.artifact) == (manifest.name, manifest.version, artifact):
        return
    of = f"{found.model} {found.version}"
    whose = "another artifact" if of == f"{manifest.name} {manifest.version}" else of
    say(
        f"warning: this is the profile of {whose}, and {manifest.name} {manifest.version} is not served with it. "
        f"{_again(folder)}",
        to=sys.stderr,
    )


def _write(file: Path, content: str) -> None:
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as cause:
        raise errors.Invalid(f"{file} cannot be written: {cause.strerror}", hint="Name another file.") from cause


def _table(found: Profile) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("feature", "kind", "bins", "missing", "values"):
        table.add_column(name)
    table.add_column("halves", justify="right")
    table.add_column(f"chance, {LIVE_ROWS} rows", justify="right")
    for one in found.every:
        missing = one.counts[one.bins.index(MISSING)] / found.rows
        chance = one.critical * (1 / LIVE_ROWS + 1 / found.rows)
        halves = "-" if one.halves is None else f"PSI {one.halves:.3f}"
        cells = (one.name, one.kind, str(len(one.bins)), f"{missing:.1%}", _values(one), halves, f"PSI {chance:.3f}")
        table.add_row(*map(text, cells))
    for vector in found.vectors:
        chance = vector.critical * (1 / LIVE_ROWS + 1 / vector.rows)
        missing = 1 - vector.rows / found.rows
        values = f"{vector.size} numbers"
        table.add_row(*map(text, (vector.name, "vector", "-", f"{missing:.1%}", values, "-", f"MMD {chance:.4f}")))
    return table


def _values(one: Feature) -> str:
    if not isinstance(one, CategoryFeature):
        return f"{one.edges[0]:.4g} to {one.edges[-1]:.4g}"
    shown = [
        f"{value} {count / max(1, sum(one.counts)):.0%}" for value, count in zip(one.values, one.counts, strict=False)
    ]
    more = len(shown) - _VALUES
    return ", ".join(shown[:_VALUES]) + (f" and {more} more" if more > 0 else "")
