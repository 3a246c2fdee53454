"""`fairlead explain`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import console, make_table, print_json
from fairlead.cli.state_age import state_age
from fairlead.contracts.health import health_of
from fairlead.local.state import StateFolder
from fairlead.routing.explain import Explanation, explain, to_json
from fairlead.routing.snapshot import Routed
from fairlead.store.statuses import read_status


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    user: Annotated[
        str | None,
        typer.Option(help="The value of the sticky header; then the answer is one version, not probabilities."),
    ] = None,
    path: Annotated[str | None, typer.Option(help="The request's path; default /models/MODEL/predict.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="A request header, 'name: value'; can be given several times."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="FAIRLEAD_KEY", help="A key, where the gateway asks for one: may its client call the model?"
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="The request's method.")] = "POST",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which version a request would get, and why, without calling a model.

    The gateway returns the same explanation for a request with the header `x-route-explain: 1`.
    """
    location = PlatformLocation(state, context, namespace)
    store = connect(location).store
    head = store.head(store.route(model).name)
    if head is None:
        raise errors.Unavailable(
            f"{model} serves nothing yet: no version of it has been ready",
            hint=f"see what it waits for: fairlead status {model}",
        )
    headers = [_split(line) for line in header or ()]
    if user is not None:
        if head.table.sticky is None:
            raise errors.Invalid(
                f"--user {user}: {model} has no sticky header, so every request gets a version at random",
                hint=f"leave out --user to see the probabilities: fairlead explain {model}",
            )
        headers.append((head.table.sticky, user))
    where = path or f"/models/{model}/predict"
    found = explain(Routed(head.route, head.seq, head.table), where, headers, method=method)
    if found is None:
        raise errors.NotFound(
            f"{where} is not one of {model}'s paths",
            hint=f"leave out --path for /models/{model}/predict: fairlead explain {model}",
        )
    age, caller = state_age(location, store, datetime.now(UTC)), _caller(location, key, head.table.model)
    if as_json:
        more = {"stale": age.problem, "caller": caller}
        print_json(to_json(found) | {name: said for name, said in more.items() if said})
        return
    health = health_of(read_status(store, head.route))
    notes = [("note", age.notice)] if age.notice else []
    notes += [("note", f"{model} is {health.mark}: {health.reason}")] if health.is_down else []
    notes += [("caller", caller)] if caller else []
    table = make_table(("", ""), [*notes, *_rows(found)])
    table.show_header = False  # it would be an empty line
    console().print(table)


def _caller(location: PlatformLocation, key: str | None, model: str) -> str:
    """What the document of clients says of the key; empty where it is not known here, or nobody is asked for one."""
    run = StateFolder(location.state).last_run() if not location.in_cluster else None
    if run is None or run.gateway.auth is None:
        return ""
    said: str = optional_modules.load("fairlead.cli.clients_file").answer_to(key, model, Path(run.gateway.auth.file))
    return said


def _rows(found: Explanation) -> list[tuple[str, str]]:
    rows = [("version", str(found.version or "drawn per request")), ("why", found.words)]
    if found.sticky_keys:
        rows.append(("sticky key", ", ".join(found.sticky_keys)))
    if found.probabilities and found.version is None:
        rows.append(("probabilities", ", ".join(f"{name} {share:.2%}" for name, share in found.probabilities.items())))
    if found.mirrors:
        rows.append(("mirrors", ", ".join(f"{name} {share:.2%}" for name, share in found.mirrors.items())))
    return [*rows, ("rule", found.rule), ("revision", found.revision)]


def _split(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise errors.Invalid(f"--header {line!r} is not a header", hint="write 'name: value', such as 'x-user-id: 42'")
    return name.strip().lower(), value.strip()
