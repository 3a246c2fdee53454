"""Publisher for an Envoy that watches a folder: cds.json, lds.json and rds.json, each replaced by one rename."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.routing.check import check_snapshot
from fairlead.routing.envoy.sources import FILES
from fairlead.routing.publish.acknowledgements import AckTracker
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.gateway import Gateway, Progress, PublishedRevisions
from fairlead.routing.publish.rejection_log import last_rejection
from fairlead.routing.publish.resource_sets import KINDS, DesiredResources, Kind, ResourceSet, Update
from fairlead.routing.publish.update_order import (
    DRAIN_S,
    GatewayReport,
    PlanState,
    Publish,
    Settled,
    Wait,
    apply_publish,
    apply_reports,
    plan,
    rejection_reason,
    set_desired,
)
from fairlead.routing.snapshot import Snapshot

IDLE_POLL_S = 0.25
"""How often the gateway is polled while the publisher is settled or waits for time to pass; otherwise every step
polls."""
UNREACHABLE_POLL_S = 0.1
"""How often an unreachable gateway is polled: one that hangs makes a step last the whole timeout."""
_MAX_REJECTIONS = 16


class FilePublisher:
    """`want` sets the desired snapshot; `step` publishes towards it without blocking. Call both at any time.

    After a crash the publisher continues from what is in the folder and in the gateway. One publisher per folder.
    """

    def __init__(
        self,
        folder: Path,
        admin: AdminClient,
        clock: Callable[[], float] = time.monotonic,
        *,
        name: str = "edge-1",
        drain_s: float = DRAIN_S,
        log: Path | None = None,
    ) -> None:
        self._folder, self._admin, self._clock = folder, admin, clock
        self._drain_s = drain_s
        self._acks = AckTracker(name, lambda: last_rejection(log) if log else None)
        folder.mkdir(parents=True, exist_ok=True)
        self._state = _resumed(folder)
        self._wanted: tuple[Snapshot, DesiredResources] | None = None
        self._revisions = PublishedRevisions()
        for kinds in (self._state.good, self._state.published):
            self._revisions.record(kinds.get("rds"))
        self._report = GatewayReport(name, reachable=False)
        self._programmed: Mapping[str, int] = {}
        self._next_poll = float("-inf")
        self._idle = False
        self._progress = Progress(settled=False, waiting_for="a first snapshot")

    def want(self, snapshot: Snapshot, *, allow_empty: bool = False) -> None:
        """Set the desired snapshot, replacing the last one. Raises Refused for a snapshot that no gateway may get."""
        if self._wanted is not None and self._wanted[0] == snapshot:
            return
        check_snapshot(snapshot, allow_empty=allow_empty)
        desired = DesiredResources.of(snapshot, self._wanted[1] if self._wanted is not None else None)
        self._wanted = (snapshot, desired)
        self._state = set_desired(self._state, desired)
        self._progress = Progress(settled=False, waiting_for="the next step")
        self._idle = False
        if self._report.reachable:
            self._next_poll = float("-inf")

    def step(self) -> Progress:
        """Poll the gateway, publish what can be published, and return the progress. Very cheap while settled."""
        now = self._clock()
        if self._wanted is None or (self._idle and now < self._next_poll):
            return self._progress
        if now >= self._next_poll:
            self._poll(now)
        self._advance(self._wanted[1], now)
        return self._progress

    def follow(self) -> None:
        """Do nothing: on one machine there is one publisher, and its folder holds what is published."""

    def gateways(self) -> tuple[Gateway, ...]:
        """The gateway, as the last step saw it."""
        rejected = rejection_reason(self._state, self._wanted[1]) if self._wanted else None
        return (Gateway(self._report.name, self._report.reachable, self._programmed, rejected),)

    @property
    def sequence(self) -> int:
        """The number of the last publication."""
        return self._state.sequence

    def close(self) -> None:
        """Stop polling. What is published stays published."""
        self._admin.close()

    def _poll(self, now: float) -> None:
        self._report = self._acks.report(self._admin.read(), self._state.published, now)
        self._next_poll = now if self._report.reachable else now + UNREACHABLE_POLL_S
        before = self._state.rejected
        self._state = apply_reports(self._state, [self._report], now)
        if self._state.rejected != before:
            _save_rejected(self._folder, self._state)
        if self._report.reachable:
            self._programmed = self._revisions.of_version(self._report.versions.get("rds", ""))

    def _advance(self, desired: DesiredResources, now: float) -> None:
        while isinstance(action := plan(self._state, desired, now, drain_s=self._drain_s), Publish):
            self._publish(action)
        until = action.until if isinstance(action, Wait) else None
        self._idle = isinstance(action, Settled) or until is not None
        if self._idle:
            self._next_poll = now + IDLE_POLL_S if until is None else min(until, now + IDLE_POLL_S)
        reason = action.reason if isinstance(action, Wait) else ""
        self._progress = Progress(isinstance(action, Settled), reason, rejection_reason(self._state, desired))

    def _publish(self, action: Publish) -> None:
        kind, update = action.kind, action.update
        if kind in self._state.acknowledged:
            # Restored if the gateway rejects the new one. On disk, because this process may be killed in between.
            _replace(_good(self._folder, kind), (self._folder / FILES[kind]).read_bytes())
        _replace(self._folder / FILES[kind], _encoded(update))
        self._acks.record_update(kind)
        self._state = apply_publish(self._state, action)
        if kind == "rds":
            self._revisions.record(update)


def _resumed(folder: Path) -> PlanState:
    published = {kind: update for kind in KINDS if (update := _read(folder / FILES[kind]))}
    good = {kind: update for kind in KINDS if (update := _read(_good(folder, kind)))}
    sequence = max((update.order.sequence for one in (published, good) for update in one.values()), default=0)
    return replace(PlanState(sequence=sequence), published=published, good=good, rejected=_load_rejected(folder))


def _good(folder: Path, kind: Kind) -> Path:
    return folder / f"{kind}.good.json"


def _encoded(update: Update) -> bytes:
    resources = [update.content.resources[name] for name in sorted(update.content.resources)]
    return json.dumps({"version_info": update.version, "resources": resources}, separators=(",", ":")).encode()


def _read(path: Path) -> Update | None:
    data = _json(path)
    if data is None:
        return None
    return Update(data["version_info"], ResourceSet.of({one["name"]: one for one in data["resources"]}))


def _save_rejected(folder: Path, state: PlanState) -> None:
    rows = [[kind, digest, dict(reasons)] for (kind, digest), reasons in state.rejected.items()]
    _replace(folder / "refused.json", json.dumps({"refused": rows[-_MAX_REJECTIONS:]}).encode())


def _load_rejected(folder: Path) -> dict[tuple[Kind, str], Mapping[str, str]]:
    rows = (_json(folder / "refused.json") or {}).get("refused", ())
    return {(kind, digest): reasons for kind, digest, reasons in rows}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return data


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically and durably (fsync, then rename): Envoy loads the file on the rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
