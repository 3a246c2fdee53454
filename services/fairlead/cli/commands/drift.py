"""`fairlead drift`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import drift_table, optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import console, print_json
from fairlead.control.drift import MAX_CONCURRENT, counts_of, over_http
from fairlead.views.drift import State, version_drifts


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whether a model's rows and answers are as those of its reference profile, and which of them moved.

    Counted are the rows since each instance started. --json has the shares of every bin. Exit code 6 if no instance
    says what it has counted.
    """
    where = PlatformLocation(state, context, namespace)
    store = connect(where).store
    store.route(model)
    head = store.head(model)
    fetch = optional_modules.load("fairlead.cli.pod_drift").fetch(store) if where.in_cluster else over_http()
    mine = [one for one in store.instances() if one.model == model and not one.ending]
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        asked = counts_of(mine, fetch, pool)
    found = version_drifts(head.table if head is not None else None, asked)
    if version is not None:
        known, found = found, tuple(one for one in found if one.version == version)
        if not found:
            names = ", ".join(one.version for one in known) or "none"
            raise errors.NotFound(f"{model} has no version {version!r} now", hint=f"its versions: {names}")
    if as_json:
        print_json(drift_table.to_json(found))
    elif not found:
        raise errors.NotFound(
            f"no version of {model} runs or serves, so there is no drift to show",
            hint=f"see what it waits for: {where.with_options(f'fairlead status {model}')}",
        )
    else:
        for one in drift_table.tables(model, found):
            console().print(one)
    if found and all(one.state in (State.UNAVAILABLE, State.NO_INSTANCE) for one in found):
        raise errors.Unavailable(
            f"no instance of {model}{f' {version}' if version else ''} says what it has counted",
            hint=f"see whether they run: {where.with_options(f'fairlead status {model}')}",
        )
