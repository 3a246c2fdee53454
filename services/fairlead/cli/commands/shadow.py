"""`fairlead shadow`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from fairlead import errors
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import console, make_table, print_json, text
from fairlead.cli.state_age import state_age
from fairlead.contracts.answers import Compared, Disagreement, ShadowStatus
from fairlead.contracts.base import format_e_value
from fairlead.contracts.status import Status
from fairlead.store.statuses import read_status

_WORDS = {"class": "another class", "failed": "failed", "schema": "another schema", "score": "another score"}


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    limit: Annotated[int, typer.Option(min=1, help="How many disagreements to show, the most important first.")] = 10,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="`json` is the same as --json.")
    ] = "table",
) -> None:
    """Show how a shadow's responses compare with the live ones, and the most important disagreements."""
    location = PlatformLocation(state, context, namespace)
    store = connect(location).store
    store.route(model)
    status = read_status(store, model)
    shadow = status.shadow if status else None
    if as_json or output == "json":
        print_json(shadow.to_json() if shadow else None)
        return
    if status is None or shadow is None:
        raise errors.NotFound(
            f"no responses of {model} have been compared yet",
            hint=f"mirror requests with strategy.shadow or mirrors; after five seconds: fairlead shadow {model}",
        )
    age = state_age(location, store, datetime.now(UTC))
    console().print(Group(*([text(age.notice)] if age.notice else []), *_page(status, shadow, limit)))


def _page(status: Status, shadow: ShadowStatus, limit: int) -> Iterator[RenderableType]:
    columns = ("LIVE", "SHADOW", "PAIRS", "DIFFER", "CLASS", "FAILED", "SCHEMA", "SCORE")
    yield make_table(columns, (_row(one) for one in shadow.compared))
    check = next((one for one in status.checks if one.gate == "agreement"), None)
    if check is not None:
        odds = (format_e_value(check.numbers.get(name, 0.0)) for name in ("log_harm", "log_safe"))
        yield text(f"\nagreement: {check.verdict.value}: {check.reason}")
        yield text(f"odds that it differs too often / that it agrees: {' / '.join(odds)}")
    if shadow.lost:
        yield text(f"{shadow.lost:,} answer records were overwritten or did not fit; they are not evidence")
    if shadow.silent:
        yield text(f"answer records not read from: {', '.join(shadow.silent)}")
    if shadow.worst:
        yield Text()
        yield make_table(
            ("REQUEST", "DIFFERS BY", "LIVE", "SHADOW"), (_disagreement(one) for one in shadow.worst[:limit])
        )


def _row(one: Compared) -> tuple[str, ...]:
    pairs = one.pairs
    counts = (pairs.class_changed, pairs.failed, pairs.schema_mismatch, pairs.score_moved)
    shares = (f"{count:,} ({count / pairs.n:.2%})" if pairs.n else "0" for count in (pairs.differ, *counts))
    return str(one.live), str(one.shadow), f"{pairs.n:,}", *shares


def _disagreement(one: Disagreement) -> tuple[str, ...]:
    answers = (f"{answer} ({answer.version})" for answer in (one.live, one.shadow))
    return _as_uuid(one.request_id), _WORDS[one.kind], *answers


def _as_uuid(digits: str) -> str:
    """The request id with hyphens, as gateway logs have it."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
