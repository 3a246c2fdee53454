"""`fairlead status`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import ago, console, make_table, percent, print_json
from fairlead.contracts.revision import Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.status import Status, StepStatus
from fairlead.store.base import Store

REFRESH_INTERVAL_S = 0.5


def command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model; default: all models.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh the output until Ctrl-C.")] = False,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each model serves and the state of its rollout; with a MODEL, also its gates and gateways."""
    store = connect(PlatformLocation(state, context, namespace)).store
    if as_json:
        print_json([one.to_json() for one in _statuses(store, model)])
        return
    if not watch:
        console().print(_page(store, model))
        return
    with Live(_page(store, model), console=console(), auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_INTERVAL_S)
            live.update(_page(store, model), refresh=True)


def _statuses(store: Store, model: str | None) -> Iterator[Status]:
    broken = {one.name: one for one in store.unreadable_routes()}
    routes = {} if model in broken else {one.name: one for one in ([store.route(model)] if model else store.routes())}
    for name in [model] if model else sorted(routes.keys() | broken.keys()):
        written = store.status(name)
        if name in broken:
            known = Status.model_validate(written) if written else Status(route=name, observed_generation=0)
            yield known.model_copy(update={"waiting": broken[name].message})
        elif written is None:
            waiting = "the control plane to process it"
            yield Status(route=name, observed_generation=0, target=routes[name].spec.target_ref, waiting=waiting)
        else:
            yield Status.model_validate(written)


def _page(store: Store, model: str | None) -> RenderableType:
    statuses = list(_statuses(store, model))
    if not statuses:
        return Text("no models yet; add one with: fairlead deploy DIR")
    columns = ("MODEL", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "STEP", "REVISION", "GATEWAY", "WAITING FOR")
    overview = make_table(columns, (_row(one) for one in statuses))
    return Group(overview, *_details(statuses[0])) if model else overview


def _row(status: Status) -> tuple[str, ...]:
    step = f"{status.step.number}/{status.step.of}" if status.step else "-"
    return (
        status.route,
        ("Paused " if status.paused else "") + (status.phase.value if status.phase else "Starting"),
        str(status.stable or "-"),
        str(status.candidate or "-"),
        _weight(status),
        step,
        status.revision or "-",
        _programmed(status),
        status.waiting or "-",
    )


def _weight(status: Status) -> str:
    """The candidate's weight, and what it gets where the gate `share` says that this is something else."""
    if status.candidate is None:
        return "-"
    is_far = any(check.gate == "share" and check.verdict is not Verdict.PASS for check in status.checks)
    return percent(status.weight) + (f" (gets {_share(status.share)})" if is_far and status.share is not None else "")


def _share(share: int) -> str:
    """A share in 1/10,000 as a percentage, rounded: 9,327 is "93 %"."""
    shown = 100 * share / TOTAL_WEIGHT
    return f"{round(shown) if 1 <= shown <= 99 else shown:g} %"


def _programmed(status: Status) -> str:
    """Whether the gateways serve the newest revision."""
    if any(gateway.rejected for gateway in status.gateways):
        return "rejected"
    if not all(gateway.reachable for gateway in status.gateways):
        return "unreachable"
    behind = [gateway for gateway in status.gateways if (gateway.programmed or 0) < status.seq]
    return "behind" if behind or not status.gateways else "programmed"


def _details(status: Status) -> Iterator[RenderableType]:
    if status.candidate is not None:
        yield Text(f"\n{_bar(status)}")
        if status.step and status.step.number:
            entered = datetime.fromisoformat(status.step.entered_at)
            yield Text(f"in this step for {ago(entered, datetime.now(UTC))}; next: {_next(status.step)}")
        if status.share is not None:
            yield Text(f"in this step {status.candidate} got {_share(status.share)} of the requests")
    if status.checks:
        rows = ((check.gate, check.verdict.value, check.reason) for check in status.checks)
        yield Text()
        yield make_table(("GATE", "VERDICT", "REASON"), rows)
    if status.evidence.windows:
        yield Text(f"\n{_counted(status)}")
    for rejected in status.rejected:
        yield Text(f"rejected: {rejected.ref} in revision {status.route}.{rejected.revision}: {rejected.reason}")
    for gateway in status.gateways:
        if gateway.rejected:
            yield Text(f"gateway {gateway.name} rejected the configuration: {gateway.rejected}")
    ready = ", ".join(f"{role} {count}" for role, count in status.ready.items())
    yield Text(f"\nready instances: {ready or 'none'}; ready to roll back: {'yes' if status.rollback_ready else 'no'}")


def _next(step: StepStatus) -> str:
    return percent(step.next_weight) if step.number < step.of else "the promotion"


def _bar(status: Status, width: int = 40) -> str:
    filled = round(width * status.weight / TOTAL_WEIGHT)
    shares = f"{status.stable} {percent(TOTAL_WEIGHT - status.weight)}, {status.candidate} {percent(status.weight)}"
    return f"[{'#' * filled}{'.' * (width - filled)}] {shares}"


def _counted(status: Status) -> str:
    counted = status.evidence
    text = f"counted in this attempt: candidate {counted.candidate.bad} failed of {counted.candidate.n}, "
    text += f"stable {counted.stable.bad} of {counted.stable.n}; "
    text += f"{counted.unserved} of {counted.assigned} requests assigned to the candidate were not served by it"
    return text + (f"; {counted.gaps} of {counted.windows} windows are gaps" if counted.gaps else "")
