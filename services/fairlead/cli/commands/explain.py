"""`fairlead explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, ContextOption, JsonOption, NamespaceOption, Place, StateOption
from fairlead.cli.output import console, make_table, print_json
from fairlead.routing.explain import Explanation, explain, to_json
from fairlead.routing.snapshot import Routed


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    user: Annotated[str | None, typer.Option(help="The value of the sticky header: then the choice is exact.")] = None,
    path: Annotated[str | None, typer.Option(help="The request's path; /models/MODEL/predict by default.")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="A header, 'name: value'.")] = None,
    method: Annotated[str, typer.Option(help="The request's method.")] = "POST",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show which version a request would get, and why, without calling a model.

    The gateway gives the same answer to a request with the header `x-route-explain: 1`.
    """
    store = connect(Place(state, context, namespace)).store
    head = store.head(store.route(model).name)
    if head is None:
        raise errors.Unavailable(f"{model} serves nothing yet: no version of it was ready so far")
    headers = [_split(line) for line in header or ()]
    if user is not None:
        if head.table.sticky is None:
            raise errors.Invalid(f"--user {user}: {model} has no sticky header, every request is drawn anew")
        headers.append((head.table.sticky, user))
    where = path or f"/models/{model}/predict"
    told = explain(Routed(head.route, head.seq, head.table), where, headers, method=method)
    if told is None:
        raise errors.NotFound(f"{where} is not one of {model}'s paths")
    if as_json:
        print_json(to_json(told))
        return
    console().print(make_table(("", ""), _rows(told)))


def _rows(told: Explanation) -> list[tuple[str, str]]:
    rows = [("version", str(told.version or "drawn per request")), ("why", told.words)]
    if told.sticky_keys:
        rows.append(("sticky key", ", ".join(told.sticky_keys)))
    if told.probabilities and told.version is None:
        rows.append(("probabilities", ", ".join(f"{name} {share:.2%}" for name, share in told.probabilities.items())))
    if told.mirrors:
        rows.append(("mirrors", ", ".join(f"{name} {share:.2%}" for name, share in told.mirrors.items())))
    return [*rows, ("rule", told.rule), ("revision", told.revision)]


def _split(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise errors.Invalid(f"--header {line!r}: write 'name: value'")
    return name.strip().lower(), value.strip()
