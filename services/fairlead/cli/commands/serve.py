"""`fairlead serve`: one model version, in the foreground."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead import errors
from fairlead.serving import cpu_quota, settings


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder; it holds fairlead.yaml.")],
    port: Annotated[int | None, typer.Option(help="TCP port; default $PORT, else 8080. 0 takes a free port.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads that call the model; default 1.")] = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes behind the port, or auto: one for each CPU; default: not set, one.")
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(help="TCP port for gRPC, beside HTTP; default: none. 0 takes a free port."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM file with a certificate: listen with TLS too; default: none.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with its private key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM file with the authorities of clients; default: every client may connect.")
    ] = None,
    tls_port: Annotated[int | None, typer.Option(help="TCP port for TLS; default 8443. 0 takes a free port.")] = None,
    drain_s: Annotated[float | None, typer.Option(help="Seconds to keep serving after SIGTERM; default 5.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error; default info.")] = None,
    log_format: Annotated[
        str | None, typer.Option(help="json, text, or auto: text on a terminal, else JSON; default auto.")
    ] = None,
) -> None:
    """Serve one model folder over HTTP in the foreground. Use it to try a model without a gateway or rollouts.

    The variables FAIRLEAD_SERVING_<FIELD> set everything else; docs/model-service.md lists the fields.
    """
    flags: dict[str, Any] = {"host": host, "port": port, "threads": threads, "workers": workers, "grpc_port": grpc_port}
    flags |= {"tls_cert": tls_cert, "tls_key": tls_key, "tls_client_ca": tls_client_ca, "tls_port": tls_port}
    chosen = settings.read(os.environ, **flags, drain_s=drain_s, log_level=log_level, log_format=log_format)
    # The numeric libraries read these variables once, when they are imported. So they are set first, and the service,
    # which imports those libraries, is imported afterwards.
    os.environ[f"{settings.ENV_PREFIX}DEVICE"] = chosen.device
    cpus = cpu_quota.available()
    count = cpu_quota.workers(chosen.workers, cpus)
    each = max(cpus // (count or 1), 1)
    os.environ.update(cpu_quota.environment(os.environ, each, chosen.threads, chosen.compute_threads))
    if count is None:
        importlib.import_module("fairlead.serving.app").run(folder, chosen)
    else:
        _master().run(folder, chosen, count)


def _master() -> Any:
    try:
        return importlib.import_module("fairlead.serving.workers.master")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gunicorn":
            raise
        raise errors.Unavailable(
            "several workers need gunicorn, which is not installed",
            hint="Install it in a clone of Fairlead: pip install -e '.[workers]'. Or leave `workers` out.",
        ) from error
