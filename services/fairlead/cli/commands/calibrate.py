"""`fairlead calibrate`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fairlead import errors
from fairlead.calibration import curve_svg
from fairlead.calibration.run import Asked, Tell, calibrate
from fairlead.calibration.service import with_settings
from fairlead.cli import calibration_table, exit_codes, rows_file
from fairlead.cli.output import print_json, say, text
from fairlead.cli.without_tls import refuse_tls
from fairlead.contracts import manifest_file, yaml_edit
from fairlead.contracts.base import format_duration, seconds_of
from fairlead.contracts.manifest import Batching, Manifest
from fairlead.serving import settings as serving

IN_FLIGHT = ("workload", "autoscaling", "target", "inFlight")
"""Where the chart has the requests in flight for which one pod is enough."""


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    p95: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="95 % of the requests in this time: 50ms; default: ten times what one alone takes."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=5, max=3600, help="Seconds of load in all, without loading.")] = 60.0,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows to send: CSV, Parquet, or JSON objects; default: the golden rows."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=4096, help="Rows in one request.")] = 1,
    max_rows: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=1, max=65536, help="A batch size to measure too; without it, a few usual ones."),
    ] = None,
    max_wait_ms: Annotated[
        list[float] | None,
        typer.Option(metavar="MS", min=0, max=1000, help="A wait to measure too, with each batch size."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that call the model, as for serve.")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes behind the port, or auto, as for serve.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curves into this file.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the best `batching` into the manifest.")] = False,
    values: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the target of the autoscaler into these values of the chart model."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find out how much load one instance of a model answers in time, with which batching, and when to add a pod.

    It starts the model's own service, once for each setting of batching, and sends it requests on loopback: at random
    times, faster and faster, until 95 % are not answered in time any more. Exit code 1 if no number is sure.
    """
    manifest = manifest_file.read(folder)
    refuse_tls(os.environ, "fairlead calibrate")
    chosen = serving.read(os.environ, threads=threads, workers=workers)
    asked = Asked(
        seconds=seconds,
        goal_s=None if p95 is None else _seconds("--p95", p95),
        rows=rows_file.read(folder, data),
        rows_per_request=rows,
        batchings=_batchings(manifest.batching, max_rows, max_wait_ms),
        flags=[*(("--threads", str(threads)) if threads else ()), *(("--workers", workers) if workers else ())],
        settings=chosen,
    )
    with _progress(manifest, seconds) as (tell, estimate):
        found = calibrate(folder, asked, tell, estimate)
    if svg is not None:
        _save(svg, curve_svg.draw(found))
    if as_json:
        print_json(found.to_json())
    else:
        calibration_table.show(found, manifest.batching)
    best = found.recommended
    if best is None:
        raise typer.Exit(exit_codes.FAILED)
    if write:
        _write_batching(folder, best.curve.batching, stays=best.curve is found.curves[0])
    if values is not None:
        before = values.read_text(encoding="utf-8") if values.exists() else ""
        _save(values, yaml_edit.with_value(before, IN_FLIGHT, best.target_in_flight))


@contextmanager
def _progress(manifest: Manifest, seconds: float) -> Iterator[tuple[Tell, Any]]:
    stderr = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Drawn only between two windows: a thread that draws would make the load generator late.
    with Progress(*columns, console=stderr, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("starting the model service", total=seconds)
        progress.refresh()

        def tell(what: str, passed_s: float) -> None:
            progress.update(task, completed=passed_s, description=what, refresh=stderr.is_terminal)

        def estimate(count: int, whole_s: float) -> None:
            several = f"{count} settings of batching" if count > 1 else "one setting of batching"
            what = f"{manifest.name} {manifest.version}: {several}, about {format_duration(round(whole_s))}"
            stderr.print(text(f"{what}; load on loopback only"))

        try:
            yield tell, estimate
        except KeyboardInterrupt:
            stderr.print("interrupted; the model service has ended, and nothing was written")
            raise


def _seconds(option: str, written: str) -> float:
    found = seconds_of(written)
    if not found:
        raise errors.Invalid(f"{option} {written}: not a duration", hint="write it like 50ms, 0.5s or 2s")
    return found


def _batchings(
    stated: Batching, max_rows: Sequence[int] | None, max_wait_ms: Sequence[float] | None
) -> list[Batching] | None:
    if not max_rows and not max_wait_ms:
        return None
    pairs = product(max_rows or [stated.max_rows], max_wait_ms or [stated.max_wait_ms])
    return [stated.model_copy(update={"max_rows": size, "max_wait_ms": wait}) for size, wait in pairs]


def _write_batching(folder: Path, batching: Batching, *, stays: bool) -> None:
    file = folder / manifest_file.NAME
    if stays:
        say(f"{file}: its batching is the best that was measured, and stays", to=sys.stderr)
        return
    _save(file, with_settings(file.read_text(encoding="utf-8"), batching))
    say("  the folder is another one now: its digest changes, so release it as a new version", to=sys.stderr)


def _save(file: Path, content: str) -> None:
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as cause:
        raise errors.Invalid(f"{file} cannot be written: {cause.strerror}", hint="Name another file.") from cause
    say(f"{file}: written", to=sys.stderr)
