"""`fairlead clients`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

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
from fairlead.cli.output import console, make_table, print_json, say
from fairlead.contracts.quota_use import QuotaUse, Used
from fairlead.control.kept_quotas import QUOTAS, QuotaFile


def command(
    name: Annotated[str | None, typer.Argument(metavar="[CLIENT]", help="Only this client.")] = None,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each client has used of its quota, over all gateways. It is at most some seconds old."""
    location = PlatformLocation(state, context, namespace)
    if location.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        use: QuotaUse = cluster.quota_use(context, namespace)
    else:
        connect(location)  # it says where there is no platform
        use = QuotaFile(state / QUOTAS).load()
    now = datetime.now(UTC)
    found = {one: use.clients.get(one, Used()).at(now) for one in sorted(use.quotas) if name in (None, one)}
    if as_json:
        print_json([_document(one, used, use) for one, used in found.items()])
    elif not found:
        say("no client has a quota" if name is None else f"client {name} has no quota")
    else:
        rows = [_row(one, used, use) for one, used in found.items()]
        console().print(make_table(("client", "today", "of", "this month", "of", "state"), rows))


def _document(name: str, used: Used, use: QuotaUse) -> dict[str, object]:
    quota = use.quotas[name]
    most = {"day": quota.day, "month": quota.month}
    spent = {"day": used.in_day, "month": used.in_month}
    return {"client": name, "used": spent, "quota": most, "usedUp": _used_up(name, used, use)}


def _row(name: str, used: Used, use: QuotaUse) -> tuple[str, ...]:
    quota = use.quotas[name]
    day, month = ("-" if most is None else str(most) for most in (quota.day, quota.month))
    said = {"": "open", "day": "used up until midnight UTC", "month": "used up until the month ends"}
    return name, str(used.in_day), day, str(used.in_month), month, said[_used_up(name, used, use)]


def _used_up(name: str, used: Used, use: QuotaUse) -> str:
    """The longest period whose quota is used up; empty if none is."""
    quota = use.quotas[name]
    if quota.month is not None and used.in_month >= quota.month:
        return "month"
    return "day" if quota.day is not None and used.in_day >= quota.day else ""
