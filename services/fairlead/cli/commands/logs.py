"""`fairlead logs`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.log_lines import About, newest
from fairlead.cli.options import DEFAULT_STATE, ContextOption, NamespaceOption, PlatformLocation, StateOption
from fairlead.cli.output import as_json as line_of_json
from fairlead.cli.output import say
from fairlead.contracts.route import VersionRef
from fairlead.local import log_files
from fairlead.local.log_files import Entry
from fairlead.local.repeated_lines import Fold
from fairlead.local.state import StateFolder
from fairlead.logs import as_text, has_colours
from fairlead.store.base import Store

FOLLOW_INTERVAL_S = 0.2
FOLD_S = 10.0
"""While lines are followed, equal lines are folded for so long, and until nothing new came for 2 s."""
IDLE_READS = 10
_UNLOGGED = (
    "only failures are logged, unless gateway.accessLog is all or a share, or the platform runs with "
    "`fairlead up FILE --log-level debug`; a response has its id in the header x-request-id"
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    version: Annotated[
        str | None,
        typer.Option(help="Only this version: its instances, and what the gateway and the supervisor say of it."),
    ] = None,
    request: Annotated[
        str | None, typer.Option("--request", metavar="ID", help="Only lines about the request with this id.")
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option("--trace", metavar="ID", help="Only lines about the requests of the trace with this id."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many of the newest lines to show. At most half are the gateway's or printed if others exist.",
        ),
    ] = 100,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines instead of text.")] = False,
) -> None:
    """Show what a model's instances have logged, and what the gateway and the supervisor have logged about the model.

    The lines of all processes are in order of time. Requests that fail the same way at the gateway one after the other
    are one line with their number. Errors of one process with the same traceback, and equal lines that a model prints,
    are shown once and counted. --json, --request and --trace show all. In a cluster, the same of pods.
    """
    about = About(request, trace)
    where = PlatformLocation(state, context, namespace)
    if where.in_cluster:
        read = optional_modules.load("fairlead.cli.pod_logs").reader(context, namespace, model, version, limit)
    else:
        read = _reader(connect(where).store, StateFolder(state), model, version)

    found = about.among(read())
    if not about.is_everything and not found and not follow:
        raise errors.NotFound(f"no log line of {model} is about {about.what}", hint=_UNLOGGED)
    is_folded = not as_json and about.is_everything
    if is_folded:
        fold = Fold()
        found = [*fold.add(found), *fold.rest()]
    _show(newest(found, limit), as_json=as_json)
    if not where.in_cluster and not StateFolder(state).is_running():
        say(f"no platform runs in {state.absolute()}: these are its last lines", to=sys.stderr)
    fold = Fold(longest_s=FOLD_S, idle_calls=IDLE_READS)
    while follow:
        time.sleep(FOLLOW_INTERVAL_S)
        new = about.among(read())
        _show(fold.add(new) if is_folded else new, as_json=as_json)


def _reader(store: Store, folder: StateFolder, model: str, version: str | None) -> Callable[[], list[Entry]]:
    """Returns the new lines at every call. Raises NotFound for an unknown model or version."""
    # Those that served, too: the lines of a version that left the spec, and of a removed model, can still be read.
    known = _deployed(store, model) | {ref for revision in store.revisions(model) for ref in revision.table.pins}
    if not known:
        store.route(model)
    if version is not None and version not in {ref.version for ref in known}:
        raise errors.NotFound(
            f"{model} has no version {version!r}",
            hint=f"its versions: {', '.join(sorted({ref.version for ref in known}))}",
        )

    def chosen() -> set[VersionRef]:
        # Asked at every call: a version may be deployed while the lines are followed.
        known.update(_deployed(store, model))
        return {ref for ref in known if version in (None, ref.version)}

    def files() -> dict[str, Path]:
        others = {name: folder.logs / f"{name}.log" for name in (log_files.GATEWAY, log_files.SUPERVISOR)}
        return log_files.of_model(folder.logs, model, chosen()) | others

    follower = log_files.Follower(files)

    def read() -> list[Entry]:
        entries, refs = follower.read(), chosen()
        return [entry for entry in entries if entry.concerns(model, refs, version)]

    return read


def _deployed(store: Store, model: str) -> set[VersionRef]:
    """The versions in the spec, and those whose processes are known."""
    specs = [route.spec for route in store.routes() if route.name == model]
    found = {one.ref(version) for spec in specs for version, one in spec.versions.items()}
    return found | {one.ref for one in store.instances() if one.model == model}


def _show(entries: Iterable[Entry], *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            print(line_of_json({"source": entry.source, **entry.fields}), flush=True)
        else:
            print(as_text({"source": entry.source, **entry.fields}, colours=has_colours(sys.stdout)), flush=True)
