"""The revisions of a route as people read them: what each one changed, who did it, why, and on which evidence. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fairlead.contracts.revision import Cause, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Table
from fairlead.control.console.gates import GateRow, gate_row
from fairlead.views.amounts import moment, percent


@dataclass(frozen=True, slots=True)
class Change:
    """One value that a revision changed; empty where there was none, or is none."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One revision."""

    id: str
    seq: int
    is_rollback: bool
    at: str
    cause: str
    served: tuple[tuple[str, str], ...]
    """The versions that served, each with its weight; empty where the model was removed."""
    mirrors: str
    actor: str
    actor_verified: bool
    reason: str
    action: str
    restored_from: str
    changes: tuple[Change, ...]
    evidence: tuple[GateRow, ...]
    hash: str


def timeline(revisions: Sequence[Revision]) -> tuple[Entry, ...]:
    """An entry for each revision, the newest first. The first one known is compared with nothing."""
    entries = [entry(None, one) for one in revisions[:1]]
    return (*entries, *(entry(before, after) for before, after in pairwise(revisions)))[::-1]


def entry(before: Revision | None, revision: Revision) -> Entry:
    """One revision, and what it changed since the one before."""
    return Entry(
        id=revision.id,
        seq=revision.seq,
        is_rollback=revision.cause is Cause.ROLLED_BACK,
        at=moment(revision.created_at),
        cause=revision.cause.value,
        served=tuple(served(revision)),
        mirrors=_mirrors(revision.table),
        actor=revision.actor,
        actor_verified=revision.actor_verified,
        reason=revision.reason,
        action=revision.action or "",
        restored_from=f"{revision.route}.{revision.restored_from}" if revision.restored_from else "",
        changes=tuple(changes(before, revision)) if before is not None else (),
        evidence=tuple(map(gate_row, revision.evidence)),
        hash=revision.hash[:12],
    )


def served(revision: Revision) -> Iterator[tuple[str, str]]:
    """The versions that serve by this revision, each with its weight."""
    table = revision.table
    if revision.cause is Cause.REMOVED:
        return
    yield str(table.stable), percent(TOTAL_WEIGHT - table.weight)
    if table.candidate is not None:
        yield str(table.candidate), percent(table.weight)


def changes(before: Revision, after: Revision) -> Iterator[Change]:
    """Every value of the table, of the pause and of the settings that differs."""
    old, new = _values(before), _values(after)
    for what in dict.fromkeys((*old, *new)):
        if old.get(what, "") != new.get(what, ""):
            yield Change(what, old.get(what, ""), new.get(what, ""))


def _values(revision: Revision) -> dict[str, str]:
    table, state = revision.table, revision.state
    return {
        "stable": _version(table.stable) if revision.cause is not Cause.REMOVED else "",
        "candidate": _version(table.candidate),
        "weight": percent(table.weight) if table.candidate is not None else "",
        "mirrors": _mirrors(table),
        "cold": ", ".join(map(str, table.cold)),
        "phase": state.phase.value,
        "paused": "yes" if state.paused else "",
        "sticky header": table.sticky or "",
        "request timeout": f"{table.request_timeout_s:g} s",
        "timeout per try": f"{table.per_try_timeout_s:g} s",
        "retries": "" if table.idempotent else "off",
        **dict(_flat("", _settings(revision.settings))),
    }


def _settings(text: str) -> Any:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}  # written by another release: it is not compared


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values of nested settings by their paths: `strategy.alpha`. A list is one value."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif path:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _version(ref: VersionRef | None) -> str:
    """With the identity: the same name may stand for another content."""
    return f"{ref.version} ({ref.identity})" if ref is not None else ""


def _mirrors(table: Table) -> str:
    return ", ".join(f"{mirror.version} {percent(mirror.share)}" for mirror in table.mirrors)
