"""The publisher for an Envoy that watches a folder: cds.json, lds.json, rds.json, each replaced in one rename."""

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
from fairlead.routing.publish.acknowledgements import Ear
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.gateway import Gateway, Programmed, Progress
from fairlead.routing.publish.phases import Heard, Settled, State, Wait, Write, hear, plan, refusal, wish, wrote
from fairlead.routing.publish.rejection_log import last_refusal
from fairlead.routing.publish.resource_sets import KINDS, Content, Desired, Kind, Written
from fairlead.routing.snapshot import Snapshot

DRAIN_S = 10.0
"""How long clusters outlive the last route to them: a request that retries looks its cluster up again."""
RESTING_POLL_S = 0.25
"""How often a gateway is asked while nothing, or only time, is waited for; otherwise every step asks."""
UNREACHABLE_POLL_S = 0.1
"""How often one that did not answer is asked: one that hangs costs a step its whole time limit."""
_REMEMBERED = 16


class FilePublisher:
    """`want` says what shall be served, `step` brings it there without ever blocking; both may be called at any time.

    Everything needed to go on after a crash is in the folder and in the gateway. One publisher per folder.
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
        self._ear = Ear(name, lambda: last_refusal(log) if log else None)
        folder.mkdir(parents=True, exist_ok=True)
        self._state = _resumed(folder)
        self._wanted: tuple[Snapshot, Desired] | None = None
        self._revisions = Programmed()
        for kinds in (self._state.good, self._state.published):
            self._revisions.wrote(kinds.get("rds"))
        self._heard = Heard(name, reachable=False)
        self._programmed: Mapping[str, int] = {}
        self._next_listen = float("-inf")
        self._resting = False
        self._progress = Progress(settled=False, waiting_for="a first wish")

    def want(self, snapshot: Snapshot, *, allow_empty: bool = False) -> None:
        """Replaces whatever was wanted before. Raises Refused for a snapshot that no gateway may be given."""
        if self._wanted is not None and self._wanted[0] == snapshot:
            return
        check_snapshot(snapshot, allow_empty=allow_empty)
        desired = Desired.of(snapshot, self._wanted[1] if self._wanted is not None else None)
        self._wanted = (snapshot, desired)
        self._state = wish(self._state, desired)
        self._progress = Progress(settled=False, waiting_for="the next step")
        self._resting = False
        if self._heard.reachable:
            self._next_listen = float("-inf")

    def step(self) -> Progress:
        """Listens, writes what can be written, and says what is missing. Costs next to nothing while settled."""
        now = self._clock()
        if self._wanted is None or (self._resting and now < self._next_listen):
            return self._progress
        if now >= self._next_listen:
            self._listen(now)
        self._advance(self._wanted[1], now)
        return self._progress

    def follow(self) -> None:
        """Nothing: on one machine there is one publisher, and what is published is in its folder."""

    def gateways(self) -> tuple[Gateway, ...]:
        """The gateway as the last step heard it."""
        rejected = refusal(self._state, self._wanted[1]) if self._wanted else None
        return (Gateway(self._heard.name, self._heard.reachable, self._programmed, rejected),)

    def close(self) -> None:
        """Stops listening. What is published stays published."""
        self._admin.close()

    def _listen(self, now: float) -> None:
        self._heard = self._ear.hear(self._admin.read(), self._state.published, now)
        self._next_listen = now if self._heard.reachable else now + UNREACHABLE_POLL_S
        before = self._state.refused
        self._state = hear(self._state, [self._heard], now)
        if self._state.refused != before:
            _save_refused(self._folder, self._state)
        if self._heard.reachable:
            self._programmed = self._revisions.by(self._heard.versions.get("rds", ""))

    def _advance(self, desired: Desired, now: float) -> None:
        while isinstance(action := plan(self._state, desired, now, drain_s=self._drain_s), Write):
            self._write(action)
        until = action.until if isinstance(action, Wait) else None
        self._resting = isinstance(action, Settled) or until is not None
        if self._resting:
            self._next_listen = now + RESTING_POLL_S if until is None else min(until, now + RESTING_POLL_S)
        reason = action.reason if isinstance(action, Wait) else ""
        self._progress = Progress(isinstance(action, Settled), reason, refusal(self._state, desired))

    def _write(self, write: Write) -> None:
        kind, written = write.kind, write.written
        if kind in self._state.acknowledged:
            # The way back, should the new one be refused; on disk, because we may be killed in between.
            _replace(_good(self._folder, kind), (self._folder / FILES[kind]).read_bytes())
        _replace(self._folder / FILES[kind], _encoded(written))
        self._ear.wrote(kind)
        self._state = wrote(self._state, write)
        if kind == "rds":
            self._revisions.wrote(written)


def _resumed(folder: Path) -> State:
    published = {kind: written for kind in KINDS if (written := _read(folder / FILES[kind]))}
    good = {kind: written for kind in KINDS if (written := _read(_good(folder, kind)))}
    sequence = max((written.order.sequence for one in (published, good) for written in one.values()), default=0)
    return replace(State(sequence=sequence), published=published, good=good, refused=_load_refused(folder))


def _good(folder: Path, kind: Kind) -> Path:
    return folder / f"{kind}.good.json"


def _encoded(written: Written) -> bytes:
    resources = [written.content.resources[name] for name in sorted(written.content.resources)]
    return json.dumps({"version_info": written.version, "resources": resources}, separators=(",", ":")).encode()


def _read(path: Path) -> Written | None:
    data = _json(path)
    if data is None:
        return None
    return Written(data["version_info"], Content.of({one["name"]: one for one in data["resources"]}))


def _save_refused(folder: Path, state: State) -> None:
    rows = [[kind, digest, dict(said)] for (kind, digest), said in state.refused.items()]
    _replace(folder / "refused.json", json.dumps({"refused": rows[-_REMEMBERED:]}).encode())


def _load_refused(folder: Path) -> dict[tuple[Kind, str], Mapping[str, str]]:
    rows = (_json(folder / "refused.json") or {}).get("refused", ())
    return {(kind, digest): said for kind, digest, said in rows}


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return data


def _replace(path: Path, content: bytes) -> None:
    """All of it or nothing, and still there after the power went: Envoy loads a file when a rename completes it."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
