"""`fairlead status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fairlead.cli import health_lines
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import ago, console, make_table, moment, percent, print_json, text
from fairlead.cli.state_age import StateAge, state_age
from fairlead.contracts.health import health_of
from fairlead.contracts.revision import Verdict
from fairlead.contracts.route import TOTAL_WEIGHT, VersionSpec
from fairlead.contracts.status import Evidence, Reason, Status, StepStatus
from fairlead.store.base import Store
from fairlead.store.statuses import read_status

REFRESH_INTERVAL_S = 0.5


def command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model; default: all models.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C; in a pipe, print each change.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each model serves and the state of its rollout; with a MODEL, also its gates and gateways."""
    location = PlatformLocation(state, context, namespace)
    store = connect(location).store
    if as_json:
        age = state_age(location, store, datetime.now(UTC)).to_json()
        known = {route.name: route.spec.versions for route in store.routes()}
        print_json([one.to_json() | _more(one, known.get(one.route, {})) | age for one in _statuses(store, model)])
        return
    if not watch:
        console().print(_page(store, model, location))
        return
    out = console()
    if not out.is_terminal:
        _follow(out, store, model, location)
        return
    with Live(_page(store, model, location), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_INTERVAL_S)
            live.update(_page(store, model, location), refresh=True)


def _follow(out: Console, store: Store, model: str | None, location: PlatformLocation) -> None:
    """In a pipe: print the page again, with its time, whenever a status changes. A terminal would be redrawn."""
    shown: list[Status] | None = None
    while True:
        statuses = list(_statuses(store, model))
        if statuses != shown:
            out.print(Group(text(moment(datetime.now(UTC))), _page(store, model, location)))
            sys.stdout.flush()
            shown = statuses
        time.sleep(REFRESH_INTERVAL_S)


def _more(status: Status, versions: Mapping[str, VersionSpec]) -> dict[str, object]:
    """The health, and the digests of the versions' folders where they are known: on one machine."""
    folders = {name: version.folder for name, version in versions.items() if version.folder}
    return {"health": health_of(status).to_json(), "folders": folders}


def _statuses(store: Store, model: str | None) -> Iterator[Status]:
    broken = {one.name: one for one in store.unreadable_routes()}
    routes = {} if model in broken else {one.name: one for one in ([store.route(model)] if model else store.routes())}
    for name in [model] if model else sorted(routes.keys() | broken.keys()):
        status = read_status(store, name)
        if name in broken:
            known = status or Status(route=name, observed_generation=0)
            yield known.model_copy(update={"waiting": broken[name].message})
        elif status is None:
            waiting = "the control plane to process it"
            yield Status(route=name, observed_generation=0, target=routes[name].spec.target_ref, waiting=waiting)
        else:
            yield status


def _page(store: Store, model: str | None, location: PlatformLocation) -> RenderableType:
    statuses, now = list(_statuses(store, model)), datetime.now(UTC)
    age = state_age(location, store, now)
    before = [text(age.notice)] if age.notice else []
    if not statuses:
        return Group(*before, text("no models yet; add one with: fairlead deploy DIR"))
    rows = (_row(one, now, age) for one in statuses)
    current = () if age.problem else statuses
    urgent = [text(line) for one in current for line in health_lines.lines(one, location, now)]
    details = _details(statuses[0]) if model else ()
    return Group(*before, make_table(_COLUMNS, rows), *urgent, *details)


_COLUMNS = ("MODEL", "HEALTH", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "STEP", "REVISION", "GATEWAY", "WAITING FOR")


def _row(status: Status, now: datetime, age: StateAge) -> tuple[str, ...]:
    step = f"{status.step.number}/{status.step.of}" if status.step else "-"
    health = health_of(status)
    # What stopped with the platform is no reason of its own.
    waiting = "" if age.is_stopped and not health.serves else status.waiting
    return (
        status.route,
        health_lines.cell(health, now, age),
        ("Paused " if status.paused else "") + (status.phase.value if status.phase else "Starting"),
        str(status.stable or "-"),
        str(status.candidate or "-"),
        _weight(status),
        step,
        status.revision or "-",
        _programmed(status),
        waiting or "-",
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
    """Whether the gateways serve the newest revision, by the condition Programmed."""
    programmed = status.condition("Programmed")
    if programmed is None:
        return "-"
    away, known = sum(not one.reachable for one in status.gateways), len(status.gateways)
    if programmed.status and away:
        return f"{away} of {known} unreachable"
    return _GATEWAY.get(programmed.reason, programmed.reason)


_GATEWAY: dict[str, str] = {
    Reason.ACKNOWLEDGED: "programmed",
    Reason.BEHIND: "behind",
    Reason.REJECTED: "rejected",
    Reason.NO_GATEWAY: "unreachable",
}


def _details(status: Status) -> Iterator[RenderableType]:
    if status.candidate is not None:
        yield text(f"\n{_bar(status)}")
        if status.step and status.step.number:
            entered = datetime.fromisoformat(status.step.entered_at)
            yield text(f"in this step for {ago(entered, datetime.now(UTC))}; next: {_next(status.step)}")
        if status.share is not None:
            yield text(f"in this step {status.candidate} got {_share(status.share)} of the requests")
    if status.checks:
        rows = ((check.gate, check.verdict.value, check.reason) for check in status.checks)
        yield Text()
        yield make_table(("GATE", "VERDICT", "REASON"), rows)
    if status.evidence.windows:
        yield text(f"\n{_counted(status)}")
        yield from (text(line) for line in _failed(status.evidence))
    for rejected in status.rejected:
        yield text(f"rejected: {rejected.ref} in revision {status.route}.{rejected.revision}: {rejected.reason}")
    for gateway in status.gateways:
        if gateway.rejected:
            yield text(f"gateway {gateway.name} rejected the configuration: {gateway.rejected}")
    idle = [one for one in status.wanted if one.present == one.instances == 0]
    yield from (text(f"no instances of {one.ref}: {one.reason}") for one in idle)
    ready = ", ".join(f"{role} {count}" for role, count in status.ready.items())
    yield text(f"\nready instances: {ready or 'none'}; ready to roll back: {_rollback(status)}")


def _rollback(status: Status) -> str:
    """Whether `rollback` without `--to` has a version that takes the load; `--to` may have one where it has not."""
    if status.rollback_ready:
        return "yes"
    if status.returnable:
        return f"only with --to {' or '.join(status.returnable)}"
    return "no version before it; another ready one with --to VERSION"


def _next(step: StepStatus) -> str:
    return percent(step.next_weight) if step.number < step.of else "the promotion"


def _failed(counted: Evidence) -> Iterator[str]:
    """One line for each version whose requests failed or were rejected: how many, in which way."""
    arms = (
        ("candidate", counted.failures.candidate, counted.rejections.candidate),
        ("stable", counted.failures.stable, counted.rejections.stable),
    )
    for name, failures, rejections in arms:
        ways = {
            "timed out by the gateway": failures.timed_out,
            "refused, reset or without an answer": failures.unanswered,
            "answered 5xx or 429": failures.server_errors,
            "rejected (other 4xx)": rejections.bad,
        }
        if told := ", ".join(f"{count} {way}" for way, count in ways.items() if count):
            yield f"{name}: {told}"


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
