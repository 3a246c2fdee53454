"""Every view says that a model is down exactly when its conditions do, whatever else the status contains."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fairlead import errors
from fairlead.cli import exit_codes, health_lines
from fairlead.cli.commands import explain, release, status, wait
from fairlead.cli.options import PlatformLocation
from fairlead.cli.output import moment
from fairlead.cli.state_age import state_age
from fairlead.contracts.health import STALE_AFTER_S
from fairlead.contracts.revision import Cause, Phase, Rejected, Revision, State
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.status import Condition, Evidence, Gateway, Reason, Status
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, Failures, VersionCounts, VersionFailures
from fairlead.control.api import build_api
from fairlead.control.metrics import Metrics
from fairlead.local.left_behind import Known, start_time
from fairlead.local.state import StateFolder
from fairlead.store.kubernetes.events import serving_event
from fairlead.store.sqlite import SqliteStore

LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)
VERSIONS = {version: VersionSpec(source=version) for version in ("0.9.0", "1.0.0", "1.1.0")}
PREVIOUS, STABLE, CANDIDATE = (spec.ref(version) for version, spec in VERSIONS.items())


class Loop:
    beat, leading, refused = 1.0, True, ""


def conditions(ready: tuple[bool, Reason] | None, degraded: bool | None) -> tuple[Condition, ...]:
    found = []
    if ready is not None:
        found.append(Condition(type="Ready", status=ready[0], reason=ready[1], message="why", since=LONG_AGO))
    if degraded is not None:
        found.append(Condition(type="Degraded", status=degraded, reason=Reason.FEWER_READY, since=LONG_AGO))
    return tuple(found)


OF_READY = (
    st.none()
    | st.tuples(st.just(True), st.sampled_from([Reason.SERVING, Reason.FEWER_READY]))
    | st.tuples(st.just(False), st.sampled_from([Reason.NOTHING_READY, Reason.NO_GATEWAY, Reason.NOTHING_RELEASED]))
)


def a_status(**fields: Any) -> Status:
    return Status(route="iris", observed_generation=1, seq=1, revision="iris.1", target=STABLE, stable=STABLE, **fields)


STATUSES = st.builds(
    a_status,
    phase=st.sampled_from(list(Phase)),
    candidate=st.sampled_from([None, CANDIDATE]),
    previous=st.sampled_from([None, PREVIOUS]),
    weight=st.sampled_from([0, 500, 10_000]),
    paused=st.booleans(),
    waiting=st.sampled_from(["", "something"]),
    rollback_ready=st.booleans(),
    ready=st.fixed_dictionaries({}, optional={role: st.integers(0, 2) for role in ("stable", "candidate", "previous")}),
    gateways=st.lists(st.builds(Gateway, name=st.just("e1"), reachable=st.booleans()), max_size=1).map(tuple),
    conditions=st.builds(conditions, OF_READY, st.none() | st.booleans()),
)


@contextmanager
def stored(document: Status, *, running: bool = True) -> Iterator[tuple[Path, SqliteStore]]:
    """The folder of a platform whose store contains this status."""
    with TemporaryDirectory() as name:
        folder = StateFolder(Path(name))
        folder.create()
        with SqliteStore(folder.ledger) as store, folder.locked() if running else nullcontext():
            spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.0.0"))
            store.put_route("iris", spec, now=LONG_AGO, actor="ada")
            store.append(
                Revision(
                    route="iris",
                    seq=1,
                    cause=Cause.CREATED,
                    generation=1,
                    table=Table(model="iris", stable=STABLE, pins=(STABLE,)),
                    state=State(target=STABLE, entered_at=LONG_AGO),
                    created_at=LONG_AGO,
                )
            )
            store.set_status("iris", document.to_json())
            store.beat(datetime.now(UTC))
            yield folder.root, store


def printed(command: Any, *arguments: Any, **options: Any) -> tuple[str, int]:
    """What a command prints, and its exit code."""
    out = StringIO()
    with redirect_stdout(out):
        try:
            command(*arguments, **options)
        except typer.Exit as ended:
            return out.getvalue(), ended.exit_code
    return out.getvalue(), 0


def answered(store: SqliteStore, path: str) -> Any:
    async def get() -> httpx.Response:
        metrics = Metrics()
        metrics.add_state(store, Loop(), gateways=lambda: (), sequence=lambda: 0)
        transport = httpx.ASGITransport(build_api(store, Loop(), metrics=metrics))
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            return await client.get(path)

    return asyncio.run(get())


def gauge(store: SqliteStore, name: str) -> float:
    families = {one.name: one for one in text_string_to_metric_families(answered(store, "/metrics").text)}
    return float(families[name].samples[0].value)


@settings(max_examples=30, deadline=None)
@given(STATUSES)
def test_every_view_says_down_exactly_when_the_conditions_do(document: Status) -> None:
    ready = document.condition("Ready")
    down = ready is not None and not ready.status and ready.reason != Reason.NOTHING_RELEASED
    serves = ready is not None and ready.status
    with stored(document) as (folder, store):
        table, _ = printed(status.command, "iris", state=folder)
        (shown,) = json.loads(printed(status.command, None, state=folder, as_json=True)[0])
        waited, code = printed(wait.command, "iris", timeout="0s", state=folder)
        explained, _ = printed(explain.command, "iris", state=folder)
        (model,) = answered(store, "/models").json()["models"]
        route = answered(store, "/api/v1/routes/iris").json()
        in_metrics = gauge(store, "fairlead_control_down")
    said = {
        "status": " down " in table.splitlines()[1] and "iris is down" in table,
        "status --json": shown["health"]["mark"] == "down",
        "wait": code == exit_codes.DOWN and "iris: down: why" in waited,
        "explain": "iris is down: why" in explained,
        "/models": model["health"] == "down",
        "/api/v1/routes": route["health"]["mark"] == "down",
        "metrics": in_metrics == 1,
    }
    assert said == dict.fromkeys(said, down)
    assert model["ready"] == serves
    assert (code == exit_codes.OK) <= serves, "no exit 0 for a model that does not serve"
    commands = {shown["health"]["command"], route["health"]["command"]}
    assert len(commands) == 1
    if down:
        assert (f"{commands.pop()} --state {folder}" in table) or ready is None or ready.reason == Reason.NO_GATEWAY


@settings(max_examples=100, deadline=None)
@given(STATUSES, STATUSES)
def test_the_clusters_event_says_down_exactly_when_the_conditions_become_it(before: Status, after: Status) -> None:
    old = {
        "conditions": [
            {"type": one.type, "status": "True" if one.status else "False", "reason": one.reason}
            for one in before.conditions
        ]
    }
    route = {"metadata": {"name": "iris", "namespace": "prod", "uid": "u1"}}
    event = serving_event(after.to_json(), old, route, LONG_AGO)
    served, ready = before.condition("Ready"), after.condition("Ready")
    changed = served is not None and ready is not None and served.status != ready.status
    goes_down = changed and ready is not None and not ready.status and ready.reason != Reason.NOTHING_RELEASED
    serves_again = changed and ready is not None and ready.status
    assert (event["reason"] if event else None) == ("Down" if goes_down else "Serving" if serves_again else None)


PLACES = (
    PlatformLocation(),
    PlatformLocation(Path("other/.fairlead")),
    PlatformLocation(context="prod", namespace="models"),
)


@settings(max_examples=100, deadline=None)
@given(STATUSES, st.sampled_from(PLACES))
def test_every_command_that_a_view_names_is_one_that_the_command_line_takes(
    document: Status, place: PlatformLocation
) -> None:
    for line in health_lines.lines(document, place, LONG_AGO):
        name, _, command = line.partition(": ")
        if not name.startswith("next for ") or not command.startswith("fairlead "):
            continue
        _, verb, *arguments = shlex.split(command)
        app = typer.Typer(add_completion=False)
        app.command()(importlib.import_module(f"fairlead.cli.commands.{verb}").command)
        parsed = typer.main.get_command(app).make_context(verb, arguments).params
        assert parsed["model"] == "iris"
        assert (parsed["context"], parsed["namespace"]) == (place.context, place.namespace)
        assert Path(parsed["state"]) == place.state


DIED = a_status(
    waiting="1.0.0 has no ready instance", conditions=conditions((False, Reason.NOTHING_READY), degraded=False)
)
SERVING = a_status(conditions=conditions((True, Reason.SERVING), False))


def test_views_of_a_frozen_control_plane_say_how_old_their_state_is() -> None:
    with stored(SERVING) as (folder, store):
        store.beat(datetime.now(UTC) - timedelta(seconds=STALE_AFTER_S + 165))
        table, _ = printed(status.command, None, state=folder)
        (shown,) = json.loads(printed(status.command, None, state=folder, as_json=True)[0])
        explained, _ = printed(explain.command, "iris", state=folder)
        waited, code = printed(wait.command, "iris", timeout="0s", state=folder)
        released, _ = printed(release.command, "iris", "1.1.0", state=folder)
    problem = "the control plane has not written for 3m"
    assert table.startswith(f"{problem}; what follows is as of {moment(datetime.fromisoformat(shown['asOf']))}\n")
    assert "control-plane.log" in table
    assert "was serving" in table, "nobody knows whether it still serves"
    assert shown["stale"] == problem
    assert problem in explained
    assert explained.startswith("note"), "no empty line comes first"
    log = f"read {folder / 'logs' / 'control-plane.log'}"
    assert (code, waited) == (exit_codes.TIMED_OUT, f"iris: timed out: after 0 s; {problem}\nnext: {log}\n")
    assert f"{problem}: the release begins when it does again" in released


@pytest.mark.parametrize(
    ("changes", "code", "helps"),
    [
        ({"paused": True, "conditions": conditions((True, Reason.SERVING), False)}, exit_codes.OK, ""),
        ({"seq": 0, "conditions": conditions((True, Reason.SERVING), False)}, exit_codes.TIMED_OUT, "fairlead status"),
        ({"conditions": conditions((False, Reason.NO_GATEWAY), False)}, exit_codes.DOWN, "read "),
        ({"conditions": conditions((False, Reason.NOTHING_READY), False)}, exit_codes.DOWN, "fairlead logs iris"),
    ],
    ids=["serves, paused", "in progress", "no gateway", "no instance"],
)
def test_a_second_line_of_wait_says_what_helps_except_where_the_target_serves(
    changes: dict[str, Any], code: int, helps: str
) -> None:
    with stored(SERVING.model_copy(update=changes)) as (folder, _):
        waited, ended = printed(wait.command, "iris", timeout="0s", state=folder)
        document = json.loads(printed(wait.command, "iris", timeout="0s", state=folder, as_json=True)[0])
    _, *more = waited.splitlines()
    assert ended == code
    assert [line.startswith(f"next: {helps}") for line in more] == ([True] if helps else [])
    assert bool(document["command"]) == helps.startswith("fairlead ")


def test_wait_says_at_once_that_the_model_is_down_and_still_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime.now(UTC)
    down = Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message="1.0.0 is away", since=now)
    with stored(SERVING.model_copy(update={"conditions": (down,)})) as (folder, _):
        waited, code = printed(wait.command, "iris", timeout="0.2s", state=folder)
    assert capsys.readouterr().err.startswith("iris: down for 0s: 1.0.0 is away; waiting up to 30 s for it")
    assert (code, waited.startswith("iris: down: after 0.2 s; 1.0.0 is away")) == (exit_codes.DOWN, True)


def test_views_of_a_stopped_platform_say_how_to_start_it() -> None:
    with stored(SERVING, running=False) as (folder, store):
        table, _ = printed(status.command, None, state=folder)
        explained, _ = printed(explain.command, "iris", state=folder)
        with pytest.raises(errors.Unavailable) as waited:
            wait.command("iris", timeout="10m", state=folder)
        released, _ = printed(release.command, "iris", "1.1.0", state=folder)
        store.set_status("iris", DIED.to_json())
        (row,) = (line for line in printed(status.command, None, state=folder)[0].splitlines() if "iris" in line)
        stable, _ = printed(release.command, "iris", "1.0.0", state=folder)
    assert " stopped " in row, "that its instances ended with it is no outage"
    assert "no ready instance" not in row
    assert stable.splitlines() == [
        "iris: target is 1.0.0 (generation 3), which is stable already; no rollout starts",
        f"the platform is not running: start it: fairlead up FILE --state {folder}",
    ]
    for text in (table, explained):
        assert "the platform is not running; what follows is as of" in text
        assert "start it: fairlead up FILE" in text
    assert str(waited.value) == "the platform is not running, so nothing serves iris"
    assert "the platform is not running: the release begins when it does again" in released


def test_views_of_a_platform_whose_supervisor_was_killed_say_that_nothing_restarts_its_processes() -> None:
    with stored(SERVING, running=False) as (folder, _):
        StateFolder(folder).write_children({"control-plane": Known(os.getpid(), start_time(os.getpid()) or "")})
        table, _ = printed(status.command, None, state=folder)
        waited, code = printed(wait.command, "iris", timeout="0s", state=folder)
    assert table.startswith("`fairlead up` was killed, and 1 of its processes still run: nothing restarts them; what")
    in_it = f"--state {folder}"
    assert f"start it again: fairlead up FILE {in_it}; or stop them: fairlead down {in_it}" in " ".join(table.split())
    assert (code, "was killed" in waited) == (exit_codes.TIMED_OUT, True)


def test_views_of_a_platform_whose_supervisor_hangs_say_that_readiness_may_be_old() -> None:
    with stored(SERVING) as (folder, _):
        StateFolder(folder).note_supervised()
        assert printed(status.command, None, state=folder)[0].startswith("MODEL")
        then = datetime.now(UTC) - timedelta(minutes=3)
        os.utime(folder / "supervised", (then.timestamp(), then.timestamp()))
        table, _ = printed(status.command, None, state=folder)
    text = f"`fairlead up` has not looked after its processes for 3m; what follows is as of {moment(then)}"
    assert table.startswith(text)
    assert "was serving" in table


def test_what_helps_where_the_control_plane_of_a_cluster_is_silent_names_the_cluster() -> None:
    with stored(SERVING) as (_, store):
        store.beat(LONG_AGO)
        age = state_age(PlatformLocation(context="prod", namespace="models"), store, datetime.now(UTC))
    assert age.hint.endswith("app.kubernetes.io/component=control-plane --context prod --namespace models")


def test_views_of_a_platform_without_heartbeats_claim_no_age() -> None:
    with stored(SERVING) as (folder, store):
        with store._database.writing() as connection:
            connection.execute("DROP TABLE heartbeats")  # as an older Fairlead left the file
        table, _ = printed(status.command, None, state=folder)
        assert table.startswith("MODEL")
        store.beat(LONG_AGO)
        assert store.last_beat() == LONG_AGO


def test_status_says_how_the_requests_of_both_versions_failed() -> None:
    failures = VersionFailures(candidate=Failures(timed_out=7, server_errors=1), stable=Failures(unanswered=2))
    rejections = VersionCounts(candidate=Counts(n=40, bad=3), stable=Counts(n=60, bad=0))
    evidence = Evidence(
        candidate=Counts(n=40, bad=8), stable=Counts(n=60, bad=2), failures=failures, rejections=rejections, windows=2
    )
    with stored(SERVING.model_copy(update={"evidence": evidence})) as (folder, _):
        table, _ = printed(status.command, "iris", state=folder)
    lines = table.splitlines()
    assert "candidate: 7 timed out by the gateway, 1 answered 5xx or 429, 3 rejected (other 4xx)" in lines
    assert "stable: 2 refused, reset or without an answer" in lines


def test_after_a_rollback_wait_names_the_evidence_and_not_the_command_that_tries_it_again() -> None:
    with stored(SERVING) as (folder, store):
        rejected = Rejected(ref=CANDIDATE, revision=2, reason="wrong prices")
        spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.1.0"))
        route, head = store.put_route("iris", spec, now=LONG_AGO, actor="ada"), store.head("iris")
        assert head is not None
        state = head.state.model_copy(update={"target": CANDIDATE, "rejected": (rejected,)})
        more = {"seq": 2, "parent": head.hash, "cause": Cause.ROLLED_BACK, "generation": route.generation}
        store.append(head.model_copy(update={"state": state, "hash": "", **more}))
        waited, code = printed(wait.command, "iris", timeout="0s", state=folder)
    said = "iris: rolled back: 1.1.0 in revision iris.2: wrong prices\nnext: fairlead history iris --evidence"
    assert (code, waited) == (exit_codes.ROLLED_BACK, f"{said} --state {folder}\n")
