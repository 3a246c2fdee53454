"""The ledger: ModelRouteRevision objects, created once and never changed, named `<route>-<seq>`.

The name is the compare-and-set: the API server accepts only one object named `iris-12`. Lists have metadata only. A
whole revision is read on demand, and the heads are cached.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.parsing import parse
from fairlead.contracts.revision import Checkpoint, Revision, find_break
from fairlead.store.kubernetes.api import AlreadyExists
from fairlead.store.kubernetes.index import Entry, Index, in_force
from fairlead.store.kubernetes.kinds import REVISIONS, ROUTES, Object, annotation
from fairlead.store.kubernetes.session import Session


class KubernetesLedger:
    """`store.base.Ledger`, without the windows."""

    _session: Session
    _heads: dict[str, Revision]
    _index: Index

    def append(self, revision: Revision) -> Revision:
        """Seal the revision and append it.

        Raises Conflict unless `seq` and `parent` continue the head and this process leads. The stored windows name
        the head they were counted under, so they no longer count.
        """
        session, sealed = self._session, revision.sealed()
        token = session.fence.token()
        entries = self._entries(sealed.route)
        checkpoint = None if entries else self.checkpoint(sealed.route)
        end = (entries[-1].seq, entries[-1].seal) if entries else (0, "")
        end = (checkpoint.seq, checkpoint.hash) if checkpoint else end
        if (sealed.seq, sealed.parent) != (end[0] + 1, end[1]):
            raise errors.Conflict(f"{sealed.id} does not continue the ledger, whose head is {sealed.route}.{end[0]}")
        try:
            written = session.api.create(REVISIONS, session.namespace, self._object(sealed, token))
        except AlreadyExists:
            written = self._already_written(sealed)
        except errors.Refused as error:
            raise errors.Conflict(f"{sealed.id} was refused: {error.message}") from error
        session.objects.note_written(REVISIONS, written)
        self._heads[sealed.route] = sealed
        return sealed

    def head(self, route: str) -> Revision | None:
        """The newest revision, which is the state of the route. None before the first."""
        entries = self._entries(route)
        if not entries:
            return None
        known = self._heads.get(route)
        if known is None or (known.seq, known.hash) != (entries[-1].seq, entries[-1].seal):
            known = self._heads[route] = self._read(route, entries[-1].seq)
        return known

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound; the hint says which revisions are kept."""
        known = self._heads.get(route)
        if known is not None and known.seq == seq:
            return known
        entries = self._entries(route)
        if all(entry.seq != seq for entry in entries):
            raise errors.NotFound(f"there is no revision {route}.{seq}", hint=_kept(route, entries))
        return self._read(route, seq)

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, only that many of the newest."""
        entries = self._entries(route)
        if limit is not None:
            return [self._read(route, entry.seq) for entry in entries[-limit:]]
        seqs = {entry.seq for entry in entries}
        return [_parsed(spec) for spec in self._documents(route) if spec.get("seq") in seqs]

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force at that time. Raises NotFound if the ledger does not reach back that far."""
        checkpoint = self.checkpoint(route)
        entries = self._entries(route)
        reached = [entry for entry in entries if checkpoint is None or entry.seq >= checkpoint.seq]
        entry = in_force(reached, moment)
        if entry is None:
            when = moment.isoformat(timespec="seconds")
            hint = _kept(route, entries)
            raise errors.NotFound(f"the ledger of {route!r} does not reach back to {when}", hint=hint)
        return self._read(route, entry.seq)

    def checkpoint(self, route: str) -> Checkpoint | None:
        """Where pruning stopped."""
        found = self._session.objects.get(ROUTES, route)
        written = (found.get("status") or {}).get("checkpoint") if found else None
        return Checkpoint.model_validate(written) if written else None

    def verify(self, route: str) -> str | None:
        """None if the chain is intact, else one sentence that names the first broken revision."""
        seqs = {entry.seq for entry in self._entries(route)}
        return find_break([spec for spec in self._documents(route) if spec.get("seq") in seqs], self.checkpoint(route))

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Delete all but the newest `keep` revisions and the promotions, and store a checkpoint in the route's status.

        The checkpoint is written first, so that a crash in between leaves a ledger that still verifies.
        """
        if keep < 1:
            raise errors.Invalid("keep must be at least 1, because the head is the state of the route")
        entries = self._entries(route)
        if len(entries) <= keep:
            return 0
        last = entries[-keep - 1]
        checkpoint = Checkpoint(route=route, seq=last.seq, hash=last.seal, pruned_at=now)
        known = self.checkpoint(route)
        if known is None or known.seq != last.seq:
            self._session.write_status(ROUTES, route, lambda status: {**status, "checkpoint": checkpoint.to_json()})
        gone = [entry for entry in entries if entry.seq <= last.seq and not entry.milestone]
        for entry in gone:
            self._delete(labels.revision_name(route, entry.seq))
        return len(gone)

    def _entries(self, route: str) -> tuple[Entry, ...]:
        """The route's entries, without those of an earlier route of the same name, which are being deleted."""
        objects = self._session.objects.list(REVISIONS)
        known = self._index
        if known.objects is not objects:
            # A new index, because other threads may still use the old one.
            known = self._index = Index(objects, known)
        if not known.entries(route):
            return ()
        owner = self._session.objects.get(ROUTES, route)
        uid = owner["metadata"].get("uid") if owner else None
        return known.entries(route) if uid is None else known.owned(route, str(uid))

    def _read(self, route: str, seq: int) -> Revision:
        session, name = self._session, labels.revision_name(route, seq)
        try:
            return _parsed(session.api.get(REVISIONS, session.namespace, name)["spec"])
        except errors.NotFound:
            session.objects.note_deleted(REVISIONS, name)
            hint = _kept(route, self._entries(route))
            raise errors.NotFound(f"revision {route}.{seq} was deleted", hint=hint) from None

    def _documents(self, route: str) -> list[Object]:
        """Whole revisions as stored, ascending."""
        whole = self._session.api.list_whole(REVISIONS, self._session.namespace, f"{labels.ROUTE}={route}")
        return sorted((one["spec"] for one in whole), key=lambda spec: int(spec.get("seq", 0)))

    def _already_written(self, sealed: Revision) -> Object:
        """The existing object of this name: our own if its response was lost. Raises Conflict if it is another's."""
        session = self._session
        there = session.api.get(REVISIONS, session.namespace, labels.revision_name(sealed.route, sealed.seq))
        session.objects.note_written(REVISIONS, there)
        if annotation(there, labels.SEAL) != sealed.hash:
            raise errors.Conflict(
                f"{sealed.id} was already appended by another process, with reason {there['spec'].get('reason')!r}"
            )
        return there

    def _object(self, sealed: Revision, token: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": labels.revision_name(sealed.route, sealed.seq),
            "labels": {
                labels.ROUTE: sealed.route,
                labels.MODEL: sealed.table.model,
                labels.CAUSE: sealed.cause.value,
                labels.PART_OF: "fairlead",
            },
            "annotations": {
                labels.SEAL: sealed.hash,
                labels.SERVED_AT: sealed.created_at.isoformat(),
                labels.FENCE: str(token),
            },
        }
        route = self._session.objects.get(ROUTES, sealed.route)
        if route is not None:
            metadata["ownerReferences"] = [owned_by(route)]
        return {"metadata": metadata, "spec": sealed.to_json()}

    def _delete(self, name: str) -> None:
        with suppress(errors.NotFound):  # another process deleted it first
            self._session.api.delete(REVISIONS, self._session.namespace, name)
        self._session.objects.note_deleted(REVISIONS, name)


def owned_by(route: Object) -> dict[str, Any]:
    """The owner reference with which an object is deleted together with the route."""
    metadata = route["metadata"]
    return {"apiVersion": ROUTES.api_version, "kind": ROUTES.kind, "name": metadata["name"], "uid": metadata["uid"]}


def _parsed(spec: Object) -> Revision:
    source = f"revision {spec.get('route')}.{spec.get('seq')}"
    return parse(Revision, spec, source, hint="check the ledger with `fairlead history MODEL --verify`")


def _kept(route: str, entries: tuple[Entry, ...]) -> str:
    if not entries:
        return f"{route!r} has no revision yet"
    return f"kept: {route}.{entries[0].seq} to {route}.{entries[-1].seq}"
