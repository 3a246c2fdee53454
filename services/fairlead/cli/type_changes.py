"""Shows what a new version changes in the types of rows and answers, and refuses what breaks clients unasked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.console import Console

from fairlead import errors
from fairlead.cli.output import say, text
from fairlead.contracts.revision import Check, Revision, Verdict
from fairlead.contracts.route import Route, VersionSpec
from fairlead.contracts.schema_changes import BREAKING, TYPES, Change, summary, type_changes
from fairlead.contracts.status import Reason
from fairlead.local.state import Schemas, StateFolder
from fairlead.serving.check.own_process import schemas_in_own_process
from fairlead.store.statuses import StatusReader, read_status

COMPARED_WITHIN_S = 10.0
"""How long a release in a cluster waits for the comparison; a version that is ready is compared within two seconds."""

AcceptBreakingOption = Annotated[
    bool,
    typer.Option("--accept-breaking", help="Release it although its types break clients of the version that serves."),
]


def refuse_breaking(count: int, version: str, accept: str) -> None:
    """Raise Refused if changes break clients. `accept` is the command that releases the version all the same."""
    if count:
        many = "1 changed type breaks" if count == 1 else f"{count} changed types break"
        raise errors.Refused(
            f"{version} is not released: {many} clients of the version that serves",
            hint=f"if those clients are ready for it: {accept}",
        )


def refuse_waiting(store: StatusReader, route: Route, accept: str) -> None:
    """Raise Refused if the version that is being released waits at 0 % because it breaks clients."""
    status = read_status(store, route.name)
    progressing = status.condition("Progressing") if status is not None else None
    if status is not None and progressing is not None and progressing.reason == Reason.BREAKING_TYPES:
        raise _waits(route.name, str(status.candidate), str(status.stable), accept)


def _waits(model: str, version: str, stable: str, accept: str) -> errors.Refused:
    return errors.Refused(
        f"{model} {version} gets no users, because it breaks clients of {stable}: it waits at 0 %",
        hint=f"if those clients are ready for it: {accept}; or release another version",
    )


def say_type_changes(
    state: StateFolder, route: Route, head: Revision | None, version: str, *, to: TextIO | None = None
) -> tuple[Change, ...]:
    """Print what the version changes for clients of stable, one line each, and return it; nothing without a change.

    Nothing either where stable, or a folder, is not known here, or its code cannot be read: then the engine compares.
    """
    stable = head.table.stable if head is not None else None
    before = route.spec.versions.get(stable.version) if stable is not None else None
    if stable is None or before is None or before.ref(stable.version) != stable or version == stable.version:
        return ()
    with Console(stderr=True).status(text(f"comparing {version} with {stable.version}")):
        old, new = (_schemas(state, one) for one in (before, route.spec.versions[version]))
    found = type_changes(old, new) if old is not None and new is not None else ()
    if found:
        say(f"{summary(version, stable.version, sum(one.is_breaking for one in found))}:", to=to)
    for one in found:
        say(f"  {one}", to=to)
    return found


def say_compared_types(
    store: StatusReader,
    route: Route,
    head: Revision,
    *,
    every_s: float,
    accept: str,
    within_s: float = COMPARED_WITHIN_S,
) -> None:
    """Print what the engine found when it compared the released version with stable; in a cluster only it can ask both.

    Nothing where nothing changes. If the version is not ready in time, say where the comparison will be. Raises Refused
    if the engine waits because a change breaks clients; `accept` is the command that lets it go on.
    """
    version, stable = route.spec.target.version, head.table.stable
    deadline = time.monotonic() + within_s
    with Console(stderr=True).status(text(f"comparing {version} with {stable}")):
        while (smoke := _compared(store, route, head)) is None and time.monotonic() < deadline:
            time.sleep(every_s)
    if smoke is None:
        say(f"the types of {version} are compared with those of {stable} before its first weight; its status says it")
    elif told := smoke.reason.partition(TYPES)[2]:
        say(f"{summary(version, str(stable), int(smoke.numbers.get(BREAKING, 0)))}:")
        for one in told.partition(": ")[2].split("; "):
            say(f"  {one}")
    if smoke is not None and smoke.verdict is Verdict.INCONCLUSIVE:
        raise _waits(route.name, version, str(stable), accept)


def _compared(store: StatusReader, route: Route, head: Revision) -> Check | None:
    """The check `smoke` of the new attempt, which says what the types are; None while it is not known."""
    status = read_status(store, route.name)
    if status is None or status.observed_generation < route.generation or status.attempt <= head.state.attempt:
        return None
    smoke = next((one for one in status.checks if one.gate == "smoke"), None)
    if smoke is None or (smoke.verdict is Verdict.INCONCLUSIVE and BREAKING not in smoke.numbers):
        return None
    return smoke


def _schemas(state: StateFolder, version: VersionSpec) -> Schemas | None:
    known = state.schemas(version.folder)
    if known is not None or version.source is None or not Path(version.source).is_dir():
        return known
    try:
        found = schemas_in_own_process(Path(version.source))
    except errors.Invalid:
        return None  # the check of the folder says why
    state.note_schemas(version.folder, found)
    return found
