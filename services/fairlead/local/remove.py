"""Removing a model: its route goes, its ledger stays, and its instances finish their requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts.revision import Cause, Phase, Revision, State
from fairlead.local.state import StateFolder
from fairlead.logs import append_line
from fairlead.store.sqlite import SqliteStore
from fairlead.store.statuses import read_status

_ATTEMPTS = 5


def remove(
    store: SqliteStore, folder: StateFolder, model: str, *, actor: str, reason: str, during_rollout: bool
) -> Revision | None:
    """Delete the model's route, and append the revision that says so. None if the model never served.

    Raises NotFound, and Refused while a rollout is in progress unless `during_rollout`.
    """
    for _ in range(_ATTEMPTS):
        store.route(model)
        head = store.head(model)
        if head is not None and head.state.phase is not Phase.STABLE and not during_rollout:
            raise errors.Refused(
                f"{model} is being rolled out: {head.state.target} is in phase {head.state.phase.value.lower()}",
                hint=f"end it with `fairlead rollback {model}`, or remove it anyway: fairlead remove {model} --yes",
            )
        last = _removed(store, head, actor, reason, datetime.now(UTC)) if head is not None else None
        try:
            store.remove_route(model, last)
        except errors.Conflict:
            continue  # the engine appended a revision after we read the head
        return _archived(folder.logs, store.revisions(model, limit=1)[-1]) if last is not None else None
    raise errors.Conflict(f"{model} was changed {_ATTEMPTS} times meanwhile", hint="repeat the command")


def wait_until_stopped(
    store: SqliteStore,
    model: str,
    *,
    timeout_s: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Wait until the model's instances have stopped. Returns those that still run after the timeout.

    They run on while a gateway does not answer: it may still send them requests.
    """
    deadline = monotonic() + timeout_s
    while True:
        left = [f"{one.ref} (process {one.pid})" for one in store.instances() if one.model == model]
        if not left or monotonic() > deadline:
            return left
        sleep(0.1)


def _removed(store: SqliteStore, head: Revision, actor: str, reason: str, now: datetime) -> Revision:
    status = read_status(store, head.route)
    return Revision(
        namespace=head.namespace,
        route=head.route,
        seq=head.seq + 1,
        parent=head.hash,
        cause=Cause.REMOVED,
        actor=actor,
        reason=reason,
        generation=head.generation,
        table=head.table.model_copy(update={"candidate": None, "weight": 0, "mirrors": ()}),
        # A later first revision goes on with the number of attempts; nothing else of the rollout goes on.
        state=State(target=head.state.target, attempt=head.state.attempt, entered_at=now),
        evidence=status.checks if status is not None else (),
        windows=tuple(store.windows(head.route)),
        created_at=now,
    )


def _archived(folder: Path, revision: Revision) -> Revision:
    """Also write the revision to the control plane's log, which has a line for every revision ever appended."""
    append_line(folder / "control-plane.log", __name__, "info", "revision appended", revision=revision.to_json())
    return revision
