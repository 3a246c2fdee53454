"""`fairlead up`."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.connect import actor
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.local import up


class LogLevel(StrEnum):
    """The levels of log lines, as in the settings of a model service."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormatOption(StrEnum):
    """How log lines are written; see `fairlead.logs`."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


def command(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A platform file. Without it the platform starts with no models; add them with `fairlead deploy`.",
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
    ] = LogLevel.WARNING,
    log_format: Annotated[
        LogFormatOption, typer.Option(help="auto: text on a terminal, else JSON.")
    ] = LogFormatOption.AUTO,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Run the platform on this machine, in the foreground, until Ctrl-C.

    It sends one prediction through the gateway and prints what to do next. Ctrl-C drains and stops everything.
    """
    if log_level is LogLevel.DEBUG:
        # For the model services, which are our children: one line for each request.
        os.environ.setdefault("FAIRLEAD_SERVING_LOG_LEVEL", log_level.value)
    up.run(
        file,
        state=state,
        port=port,
        control_port=control_port,
        envoy_binary=envoy,
        wait_s=wait,
        actor=actor(),
        log_level=log_level.value,
        log_format=log_format.value,
    )
