"""`fairlead release`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import action_client
from fairlead.cli.check_first import SkipCheckOption, check_first
from fairlead.cli.connect import Connection, connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)
from fairlead.cli.output import moment, percent, say
from fairlead.cli.state_age import state_age
from fairlead.cli.type_changes import (
    AcceptBreakingOption,
    refuse_breaking,
    refuse_waiting,
    say_compared_types,
    say_type_changes,
)
from fairlead.contracts.revision import Phase, Rejected, Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.local.state import StateFolder


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to release.")],
    retry: Annotated[
        bool, typer.Option("--retry", help="Try a version again that was rejected, like `fairlead retry`.")
    ] = False,
    skip_check: SkipCheckOption = False,
    accept_breaking: AcceptBreakingOption = False,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version the route's target, which starts its guarded rollout. Use it after `fairlead deploy`.

    Releasing what serves already, or what is being released, changes nothing and succeeds. A version that was rejected
    is refused (exit code 4), and a rollout in progress goes on. On one machine, a folder that was not checked before is
    checked first, as `fairlead check` does it.

    A version whose types break clients of stable is refused (exit code 4) without --accept-breaking, also while it
    waits for that at 0 %. In a cluster only the control plane can compare them, so there it waits before it is refused.
    """
    location = PlatformLocation(state, context, namespace)
    connection = connect(location)
    route, head = connection.store.route(model), connection.store.head(model)
    ref = _ref(route, version)
    rejected = head.state.rejection_of(ref) if head is not None and not _is_stable(head, ref) else None
    if head is not None and rejected is not None and not retry:
        raise _refusal(route, head, rejected, location)
    age = state_age(location, connection.store, datetime.now(UTC))
    serves = "is stable" if age.is_stopped else "serves"
    done = _already(route, head, ref, serves) if head is not None and ref is not None and rejected is None else ""
    again = location.with_options(f"fairlead release {model} {version}{' --retry' * retry} --accept-breaking")
    if done and not accept_breaking:
        refuse_waiting(connection.store, route, again)
    else:
        if not done and not location.in_cluster and ref is not None:
            breaking = _examine(StateFolder(state), route, head, version, skip_check=skip_check, as_json=as_json)
            refuse_breaking(0 if accept_breaking else breaking, f"{model} {version}", again)
        route = connection.retarget(model, version, reason, accept_breaking=accept_breaking)
    if rejected is not None:
        action_client.ask(location, model, "retry", reason=reason or f"release {version} again", as_json=as_json)
        return
    if as_json:
        print(json.dumps(route.to_json()))
        return
    is_stable = head is not None and _is_stable(head, ref)
    say(f"{model}: {done or _begun(route, head, version, serves)}")
    if age.problem:
        told = is_stable or (location.in_cluster and age.as_of is None)  # there is none that may go on
        say(f"{age.problem}: {age.hint}" if told else f"{age.problem}: the release begins when it does again")
    if is_stable:
        return
    if head is not None:
        compares = location.in_cluster and not done and not age.problem
        accepted = version if done and accept_breaking else ""
        _say_of_attempt(connection, route, head, compares=compares, accept=again, accepted=accepted)
    if age.is_stopped:
        return  # every command that follows a release needs the platform
    say(f"next: {_next(location, model, head)}")


def _say_of_attempt(
    connection: Connection, route: Route, head: Revision, *, compares: bool, accept: str, accepted: str
) -> None:
    if accepted:
        say(f"{route.name}: breaking types of {accepted} are accepted; the rollout goes on")
    if head.state.paused:
        say(_paused(head))
    if compares:  # on one machine they were compared before
        say_compared_types(connection.store, route, head, every_s=connection.poll_interval_s, accept=accept)


def _next(location: PlatformLocation, model: str, head: Revision | None) -> str:
    watch, wait = (
        location.with_options(f"fairlead status {model} --watch"),
        location.with_options(f"fairlead wait {model}"),
    )
    if head is None:
        return f"{watch} or {wait}"  # from the first version there is no way back
    return f"{watch}, {wait}, or {location.with_options(f'fairlead rollback {model}')}"


def _examine(
    state: StateFolder, route: Route, head: Revision | None, version: str, *, skip_check: bool, as_json: bool
) -> int:
    """Check a version that does not serve, say what it changes, and return how many changes break clients.

    Raises ModelFailed if it is not fit.
    """
    spec = route.spec.versions[version]
    if head is not None and _is_stable(head, spec.ref(version)):
        return 0
    if not skip_check and spec.source is not None and Path(spec.source).is_dir():
        check_first(state, f"{route.name} {version}", Path(spec.source), spec.folder)
    found = say_type_changes(state, route, head, version, to=sys.stderr if as_json else sys.stdout)
    return sum(one.is_breaking for one in found)


def _ref(route: Route, version: str) -> VersionRef | None:
    spec = route.spec.versions.get(version)
    return spec.ref(version) if spec is not None else None


def _is_stable(head: Revision, ref: VersionRef | None) -> bool:
    return head.table.stable == ref


def _paused(head: Revision) -> str:
    model, until = head.route, head.state.paused_until
    if until is None:
        return f"{model} is paused: it begins after `fairlead resume {model}`"
    return f"{model} is paused until {moment(until)}: it begins then, or after `fairlead resume {model}`"


def _refusal(route: Route, head: Revision, why: Rejected, location: PlatformLocation) -> errors.Refused:
    version = why.ref.version
    again = f"retry {route.name}" if route.spec.target.version == version else f"release {route.name} {version} --retry"
    goes_on = "" if head.state.phase is Phase.STABLE else f"; the rollout of {head.state.target} goes on"
    return errors.Refused(
        f"{route.name} {version} was rejected in revision {route.name}.{why.revision}: {why.reason}{goes_on}",
        hint=f"release another version, or when the cause is fixed: {location.with_options(f'fairlead {again}')}",
    )


def _already(route: Route, head: Revision, ref: VersionRef, serves: str) -> str:
    """Why there is nothing to do; empty if the target has to change or the engine has not acted on it yet."""
    if route.spec.target_ref != ref:
        return ""
    if head.state.phase is Phase.STABLE:
        return f"{ref} {serves} already, revision {head.id}; no rollout starts" if head.table.stable == ref else ""
    if head.state.target != ref:
        return ""
    return f"{ref} is being released already, revision {head.id}, at {percent(head.table.weight)}"


def _begun(route: Route, head: Revision | None, version: str, serves: str) -> str:
    target = f"target is {version} (generation {route.generation})"
    if head is None:
        return f"{target}; it is the first version, and serves as soon as it is ready"
    ends = "" if head.state.phase is Phase.STABLE else f"; the rollout of {head.state.target} ends"
    if head.table.stable == _ref(route, version):
        return f"{target}, which {serves} already; no rollout starts{ends}"
    steps = ", ".join(percent(step.weight) for step in route.spec.strategy.steps) or "all at once"
    return f"{target}; steps {steps}{ends}"
