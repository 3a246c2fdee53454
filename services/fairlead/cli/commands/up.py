"""`fairlead up`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fairlead import errors
from fairlead.cli.connect import actor
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.cli.without_tls import refuse_tls
from fairlead.local import up
from fairlead.local.example import FOLDER
from fairlead.local.example import write as write_example
from fairlead.logs import LogFormat, LogLevel


def command(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A platform file. Default: the models of the state folder; `fairlead deploy DIR` adds one.",
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The gateway's port; default: the file's, else 8080.")
    ] = None,
    control_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The control plane's port; default: the file's, else 8081.")
    ] = None,
    envoy: Annotated[Path | None, typer.Option(help="An Envoy binary; default: the installed one.")] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait until everything is ready.")] = 120.0,
    log_level: Annotated[
        LogLevel, typer.Option(help="Show what all processes log at this level and above.")
    ] = "warning",
    log_format: Annotated[LogFormat, typer.Option(help="auto: text on a terminal, else JSON.")] = "auto",
    example: Annotated[
        bool, typer.Option("--example", help=f"Train and run the example, in the folder {FOLDER}.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Run the platform on this machine, in the foreground, until Ctrl-C.

    It sends one prediction through the gateway and prints what to do next. Ctrl-C drains and stops everything.
    """
    refuse_tls(os.environ, "fairlead up")
    if log_level == "debug":
        # For the model services, which are our children: one line for each request.
        os.environ.setdefault("FAIRLEAD_SERVING_LOG_LEVEL", log_level)
    if example:
        if file is not None:
            raise errors.Invalid(
                f"--example has a platform file of its own, so {file} cannot be used", hint="leave out one of the two"
            )
        file = write_example(FOLDER, Console())
    up.run(
        file,
        state=state,
        port=port,
        control_port=control_port,
        envoy_binary=envoy,
        wait_s=wait,
        actor=actor(),
        log_level=log_level,
        log_format=log_format,
    )
