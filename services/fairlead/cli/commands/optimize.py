"""`fairlead optimize`."""

from __future__ import annotations

import importlib
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, TextIO, cast

import typer
from rich.console import Console

from fairlead import errors
from fairlead.cli import optimization_table, rows_file
from fairlead.cli.checking import printing_apart
from fairlead.cli.output import print_json, say, text
from fairlead.cli.without_tls import refuse_tls
from fairlead.optimization.verdict import Bounds, Result

LOSSY, LOSSLESS = 0.05, 0.001
"""How far numbers may differ, as a share of their range: quantised and pruned versions are meant to differ a little."""


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="Convert the model to ONNX.")] = False,
    quantize: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Quantise to 8-bit integers: int8. Converts to ONNX first.")
    ] = None,
    prune: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Take this share of the units out of hidden layers: 0.5. As ONNX too."),
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR2", help="Where to write the new version.")] = None,
    judge: Annotated[
        Path | None, typer.Option(metavar="DIR2", help="Write nothing: judge this version, however it was made.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="The new version; default: 1.0.0-onnx, -int8.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows to compare beside the golden ones: CSV, Parquet, or JSON objects."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of FILE with what is true: shows the accuracy.")
    ] = None,
    agreement: Annotated[float, typer.Option(min=0, max=1, help="The least share of rows that must agree.")] = 0.99,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", min=0, max=1, help="How far numbers may differ, of their range: 0.001; 0.05 if lossy."
        ),
    ] = None,
    max_slower: Annotated[
        float, typer.Option(metavar="TIMES", min=0, help="The most time that it may take, in times of the original.")
    ] = 1.05,
    without_gain: Annotated[
        bool, typer.Option("--without-gain", help="Accept it though it is neither faster nor smaller.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=2, max=3600, help="Seconds of load for the times.")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Write a faster or smaller version that answers alike.

    Both versions are served, asked the same rows over HTTP, and timed in turn under the same load. A new version that
    answers otherwise, has other types, is slower, or is neither faster nor smaller is refused with exit code 4, and not
    written. The original is never changed.
    """
    refuse_tls(os.environ, "fairlead optimize")
    _check_options(onnx=onnx, quantize=quantize, prune=prune, to=to, judge=judge, version=version)
    lossy = quantize is not None or prune is not None or judge is not None
    usual = LOSSY if lossy else LOSSLESS
    bounds = Bounds(agreement, usual if tolerance is None else tolerance, max_slower, not without_gain)
    rows, known = rows_file.with_labels(folder, data, labels)
    run = importlib.import_module("fairlead.optimization.run")
    evidence = run.Evidence(rows, known, data.name if data else "", labels or "", seconds)
    with Console(stderr=True).status("") as status, printing_apart() as printed:

        def tell(what: str) -> None:
            status.update(text(what))

        with redirect_stdout(cast(TextIO, printed)), redirect_stderr(cast(TextIO, printed)):
            found: Result
            if judge is not None:
                found = run.judge(folder, judge, [], evidence, bounds, tell)
            else:
                steps = importlib.import_module("fairlead.optimization.writing").Steps(quantize is not None, prune)
                assert to is not None  # checked above
                found = run.optimize(folder, to, steps, evidence, bounds, tell, version or "")
    if as_json:
        print_json(found.to_json())
    else:
        optimization_table.show(found)
    if found.reasons:
        first = found.reasons[0]
        raise errors.Refused(f"{found.model} {found.candidate} is refused: {first.message}", hint=first.hint)
    if to is not None and not as_json:
        say(f"{to}: written; it is {found.model} {found.candidate}")
        say(f"next: fairlead deploy {to}, then fairlead release {found.model} {found.candidate}")


def _check_options(
    *,
    onnx: bool,
    quantize: str | None,
    prune: float | None,
    to: Path | None,
    judge: Path | None,
    version: str | None,
) -> None:
    makes = onnx or quantize is not None or prune is not None
    if judge is not None and (makes or to is not None or version is not None):
        raise errors.Invalid(
            "--judge writes nothing, so no other option may say what to make", hint="Leave out --judge, or the others."
        )
    if judge is None and not makes:
        raise errors.Invalid(
            "there is nothing to do", hint="Add --onnx, --quantize int8, --prune SHARE or --judge DIR2."
        )
    if judge is None and to is None:
        raise errors.Invalid("--to is missing: the original is never changed", hint="Name a new folder: --to DIR2.")
    if quantize not in (None, "int8"):
        raise errors.Invalid(f"--quantize {quantize} is unknown", hint="There is int8.")
    if prune is not None and not 0 < prune < 1:
        raise errors.Invalid(
            f"--prune {prune:g} is no share of the units", hint="Give one between 0 and 1, such as 0.5."
        )
