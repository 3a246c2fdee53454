"""The ledger: ModelRouteRevision objects, created once and never changed, named by their place in the chain.

The name is the compare-and-set: the API server lets one object only be `iris-12`. Lists hold metadata; a whole
revision is read when it is asked for, and the heads are kept.
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
    """`store.base.Ledger`, but for the windows."""

    _session: Session
    _heads: dict[str, Revision]
    _index: Index

    def append(self, revision: Revision) -> Revision:
        """Append the head's successor, sealed.

        Raises Conflict unless `seq` and `parent` continue the head and this process leads. The windows since the head
        say which head that was, so they are void from now on.
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
            written = self._who_was_first(sealed)
        except errors.Refused as error:
            raise errors.Conflict(f"{sealed.id} was refused: {error.message}") from error
        session.objects.learn(REVISIONS, written)
        self._heads[sealed.route] = sealed
        return sealed

    def head(self, route: str) -> Revision | None:
        """The last revision: the state of the route. None before the first."""
        entries = self._entries(route)
        if not entries:
            return None
        known = self._heads.get(route)
        if known is None or (known.seq, known.hash) != (entries[-1].seq, entries[-1].seal):
            known = self._heads[route] = self._read(route, entries[-1].seq)
        return known

    def revision(self, route: str, seq: int) -> Revision:
        """One revision. Raises NotFound, saying what range is kept."""
        known = self._heads.get(route)
        if known is not None and known.seq == seq:
            return known
        entries = self._entries(route)
        if all(entry.seq != seq for entry in entries):
            raise errors.NotFound(f"there is no revision {route}.{seq}", hint=_kept(route, entries))
        return self._read(route, seq)

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """The kept revisions, ascending; with `limit`, the newest so many."""
        entries = self._entries(route)
        if limit is not None:
            return [self._read(route, entry.seq) for entry in entries[-limit:]]
        seqs = {entry.seq for entry in entries}
        return [_parsed(spec) for spec in self._documents(route) if spec.get("seq") in seqs]

    def at(self, route: str, moment: datetime) -> Revision:
        """The revision that was in force then. Raises NotFound when the ledger does not reach that far."""
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
        """Where pruning left off."""
        found = self._session.objects.get(ROUTES, route)
        written = (found.get("status") or {}).get("checkpoint") if found else None
        return Checkpoint.model_validate(written) if written else None

    def verify(self, route: str) -> str | None:
        """None when the chain holds, else one sentence naming the first revision that does not."""
        seqs = {entry.seq for entry in self._entries(route)}
        return find_break([spec for spec in self._documents(route) if spec.get("seq") in seqs], self.checkpoint(route))

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """Forget all but the newest `keep` revisions and the promotions, leaving a checkpoint in the route's status.

        The checkpoint is written first: what it covers may go, now or after a crash.
        """
        if keep < 1:
            raise errors.Invalid("the head is the state of the route: at least one revision is kept")
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
            self._forget(labels.revision_name(route, entry.seq))
        return len(gone)

    def _entries(self, route: str) -> tuple[Entry, ...]:
        """The route's entries. Those of another route that had its name are not its own, and on their way out."""
        objects = self._session.objects.list(REVISIONS)
        known = self._index
        if known.objects is not objects:
            # A new one, because other threads go on with the one they have.
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
            session.objects.forget(REVISIONS, name)
            raise errors.NotFound(f"revision {route}.{seq} is gone", hint=_kept(route, self._entries(route))) from None

    def _documents(self, route: str) -> list[Object]:
        """Whole revisions as they are stored, ascending."""
        whole = self._session.api.whole(REVISIONS, self._session.namespace, f"{labels.ROUTE}={route}")
        return sorted((one["spec"] for one in whole), key=lambda spec: int(spec.get("seq", 0)))

    def _who_was_first(self, sealed: Revision) -> Object:
        """The object that has the name: ours, when an answer was lost on the way; else somebody appended first."""
        session = self._session
        there = session.api.get(REVISIONS, session.namespace, labels.revision_name(sealed.route, sealed.seq))
        session.objects.learn(REVISIONS, there)
        if annotation(there, labels.SEAL) != sealed.hash:
            raise errors.Conflict(f"{sealed.id} was appended by somebody else, for {there['spec'].get('reason')!r}")
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

    def _forget(self, name: str) -> None:
        with suppress(errors.NotFound):  # somebody was faster
            self._session.api.delete(REVISIONS, self._session.namespace, name)
        self._session.objects.forget(REVISIONS, name)


def owned_by(route: Object) -> dict[str, Any]:
    """The owner reference that takes an object along when the route is deleted."""
    metadata = route["metadata"]
    return {"apiVersion": ROUTES.api_version, "kind": ROUTES.kind, "name": metadata["name"], "uid": metadata["uid"]}


def _parsed(spec: Object) -> Revision:
    return parse(Revision, spec, f"revision {spec.get('route')}.{spec.get('seq')}", hint="`fairlead history --verify`")


def _kept(route: str, entries: tuple[Entry, ...]) -> str:
    if not entries:
        return f"{route!r} has no revision yet"
    return f"kept: {route}.{entries[0].seq} to {route}.{entries[-1].seq}"
