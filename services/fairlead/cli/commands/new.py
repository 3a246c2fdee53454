"""`fairlead new`."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.checking import printing_apart, run_checks, say_printed, say_wrong
from fairlead.cli.output import say
from fairlead.serving.check.findings import is_fit

LEAST_ROWS, MOST_ROWS = 100, 10_000
"""A sample of fewer rows is no reference for drift; of a larger one so many rows are asked."""


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the model: lower case, digits and '-'.")],
    file: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The estimator, of joblib, pickle or skops, or a file of a booster, ONNX, Keras or torch.export.",
        ),
    ],
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="The digest of FILE: reading a pickle runs the code in it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Some rows of the training data: CSV with a header, or Parquet.")
    ] = None,
    code: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A Python file that the estimator's classes are in.")
    ] = None,
    version: Annotated[str, typer.Option("--version", metavar="VERSION", help="The version of the model.")] = "1.0.0",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write NAME/VERSION.")] = Path("build/models"),
    trusted: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="A type in a file of skops that is built though it may be more than data."),
    ] = None,
) -> None:
    """Write a model folder from a trained estimator, a booster or a network, and check it.

    The inputs, the outputs and the golden rows come from the estimator and from --data; no class is written. From 100
    rows on, --data also gives the folder a reference profile, by which the service measures drift. Reading
    a pickle runs the code in it, so the command wants its digest first. The digest is that of FILE: the artifact of the
    folder is written again and has another one. Files of skops, ONNX, Keras (not *.h5) and of boosters are no code;
    *.pt2 are.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # rows are asked one by one; the libraries read it when imported
    write = importlib.import_module("fairlead.serving.new.folder").write
    # An estimator with `verbose` prints at each of the hundred rows that it is asked.
    with printing_apart() as asked, redirect_stdout(cast(TextIO, asked)), redirect_stderr(cast(TextIO, asked)):
        written = write(name, version, file, out, sha256=sha256, data=data, code=code or (), trusted=trusted or ())
    folder = written.folder
    say(f"{folder}: written, with {len(written.golden.rows)} golden rows")
    if sha256 is not None and written.sha256 != sha256.lower():
        say(
            f"its artifact has the sha256 {written.sha256[:12]}..., not that of {file}: the estimator was written again"
        )
    for problem in written.left_out:
        say(f"not served: {problem.message}. {problem.hint or ''}".rstrip())
    if skipped := written.golden.skipped:
        say(f"{skipped} {'row' if skipped == 1 else 'rows'} of {data} left out; the first: {written.golden.why}")
    if data is not None:
        say(_profile(folder, data))
    findings, printed = run_checks(str(folder), folder)
    say_wrong(findings, sys.stdout)
    if not is_fit(findings):
        say_printed(printed)
        say(f"{folder}: not fit to serve; `fairlead check {folder}` shows every check")
        raise typer.Exit(exit_codes.FAILED)
    say(f"{folder}: fit to serve")
    say(f"next: fairlead serve {folder}, or fairlead deploy {folder}")


def _profile(folder: Path, data: Path) -> str:
    """Give the folder a profile from the sample, and say so, or why it has none: it is fit to serve without."""
    reading, building, folders = (
        importlib.import_module(f"fairlead.serving.{name}")
        for name in ("reference.data", "reference.build", "formats.folder")
    )
    try:
        with printing_apart() as asked, redirect_stdout(cast(TextIO, asked)), redirect_stderr(cast(TextIO, asked)):
            model = folders.load_folder(folder, profiled=False)
            rows = reading.rows_of(data, model)
            if len(rows) < LEAST_ROWS:
                return f"no profile: {data} has {len(rows)} rows, and a reference for drift needs {LEAST_ROWS} or more"
            built = building.build(model, rows[:: -(-len(rows) // MOST_ROWS)], data=data.name).profile
            building.save(folder, built)
    except errors.FairleadError as error:
        return f"no profile: {error.message}"
    return f"its profile has {built.described}; better are rows that the model was not trained on: " + (
        f"fairlead profile build {folder} --data FILE"
    )
