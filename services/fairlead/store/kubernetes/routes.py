"""Routes: ModelRoute objects. Only users write their spec."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.route import Route, RouteSpec, UnreadableRoute
from fairlead.store import forward_compatibility
from fairlead.store.kubernetes.kinds import ROUTES, Object, annotation, name_of, version_of
from fairlead.store.kubernetes.session import ATTEMPTS, Session


class KubernetesRoutes:
    """`store.base.RouteStore`."""

    _session: Session
    _parsed: dict[str, tuple[Object, Route]]

    @property
    def actors_are_verified(self) -> bool:
        """Whether a policy checks an actor against its caller; see `admission`."""
        raise NotImplementedError

    def routes(self) -> list[Route]:
        """All routes that can be read, by name, without those that are being deleted.

        If a route's spec can no longer be read, the last readable state is returned.
        """
        return [one for one in self._all() if isinstance(one, Route)]

    def unreadable_routes(self) -> list[UnreadableRoute]:
        """All other routes, by name, without those that are being deleted."""
        return [one for one in self._all() if isinstance(one, UnreadableRoute)]

    def route(self, name: str) -> Route:
        """One route. Raises NotFound; the hint lists the existing routes."""
        found = self._session.objects.get(ROUTES, name)
        if found is None or _is_being_deleted(found):
            raise self._missing(name)
        return self._parse(found)

    def put_route(
        self,
        name: str,
        spec: RouteSpec,
        *,
        now: datetime,
        actor: str,
        reason: str = "",
        annotations: dict[str, str] | None = None,
        expected: int | None = None,
    ) -> Route:
        """Create or replace the spec; see `store.base.RouteStore.put_route`. `now` is not used: the server sets it."""
        for _ in range(ATTEMPTS):
            present = self._session.refreshed(ROUTES, name)
            found = self._parse(present) if present is not None and not _is_being_deleted(present) else None
            _expect(name, found, expected)
            if found is None or present is None:
                body = {"metadata": _metadata(name, 1, actor, reason, annotations or {}), "spec": _document(spec)}
                write = partial(self._session.api.create, ROUTES, self._session.namespace, body)
            else:
                wanted = found.annotations if annotations is None else annotations
                if (spec, wanted) == (found.spec, found.annotations):
                    return found
                body = _changed(present, found, spec, wanted, (actor, reason))
                write = partial(self._session.api.replace, ROUTES, self._session.namespace, name, body)
            try:
                return self._written(write())
            except errors.Conflict:
                continue  # a status was written in between, or the object was created or deleted: read it again
        raise errors.Conflict(f"other writers changed route {name!r} {ATTEMPTS} times in a row", hint="try again")

    def delete_route(self, name: str) -> None:
        """Delete the route; its ledger stays, without an owner. Raises NotFound."""
        session = self._session
        try:
            session.api.delete(ROUTES, session.namespace, name, propagation="Orphan")
        except errors.NotFound:
            raise self._missing(name) from None
        session.refreshed(ROUTES, name)

    def change_token(self) -> object:
        """A token that differs from the previous one if any writer changed anything in the store."""
        return self._session.objects.token()

    def manager(self, name: str) -> str:
        """The tool that manages the route's spec: "Helm", "Argo CD" ...; empty if only our own commands do."""
        found = self._session.objects.get(ROUTES, name)
        if found is None:
            raise self._missing(name)
        for annotated, tool in _MANAGERS.items():
            if annotation(found, annotated):
                return tool
        metadata = found["metadata"].get("labels") or {}
        return "" if metadata.get(labels.MANAGED_BY, "fairlead") == "fairlead" else str(metadata[labels.MANAGED_BY])

    def release_of(self, name: str) -> str:
        """The Helm release that the route belongs to; empty if it has none."""
        found = self._session.objects.get(ROUTES, name)
        return annotation(found, "meta.helm.sh/release-name") if found else ""

    def route_objects(self) -> tuple[Object, ...]:
        """The objects of all routes, by name; the same tuple as before if nothing changed."""
        return self._session.objects.list(ROUTES)

    def _all(self) -> Iterator[Route | UnreadableRoute]:
        for found in self._session.objects.list(ROUTES):
            if _is_being_deleted(found):
                continue
            try:
                yield self._parse(found)
            except errors.Invalid as error:
                yield UnreadableRoute(
                    namespace=self._session.namespace,
                    name=name_of(found),
                    generation=int(found["metadata"].get("generation") or 1),
                    message=error.message,
                )

    def _written(self, written: Object) -> Route:
        written = ROUTES.trim(written)
        self._session.objects.note_written(ROUTES, written)
        return self._parse(written)

    def _parse(self, found: Object) -> Route:
        name = name_of(found)
        known = self._parsed.get(name)
        if known is not None and known[0] is found:
            return known[1]
        try:
            route = _route(found, self._session.namespace, known, is_checked=self.actors_are_verified)
        except errors.Invalid:
            if known is None or known[0]["metadata"].get("uid") != found["metadata"].get("uid"):
                raise
            return known[1]
        self._parsed[name] = (found, route)
        return route

    def _missing(self, name: str) -> errors.NotFound:
        names = ", ".join(name_of(found) for found in self._session.objects.list(ROUTES)) or "none yet"
        return errors.NotFound(f"there is no route {name!r}", hint=f"routes: {names}")


def _changed(present: Object, found: Route, spec: RouteSpec, wanted: dict[str, str], who: tuple[str, str]) -> Object:
    """The object that replaces `present`. Fields that we do not manage stay."""
    differs = spec != found.spec
    kept = {key: annotation(present, key) for key in _OURS if annotation(present, key)}
    metadata = {key: value for key, value in present["metadata"].items() if key != "managedFields"}
    if differs:
        metadata |= _metadata(found.name, found.generation + 1, *who, {**kept, **wanted})
    else:
        metadata["annotations"] = {**kept, **wanted}
    document = _document(spec) if differs else dict(present["spec"])
    if differs and spec.strategy == found.spec.strategy:
        # Word for word as it was: who changes the strategy needs a further right.
        document.pop("strategy", None)
        document |= {key: value for key, value in present["spec"].items() if key == "strategy"}
    return {"metadata": metadata, "spec": document}


def _metadata(name: str, generation: int, actor: str, reason: str, annotations: dict[str, str]) -> dict[str, Any]:
    change = {labels.CHANGED_BY: f"{generation} {actor}", labels.CHANGE_REASON: reason}
    return {"name": name, "annotations": {**annotations, **change}}


_MANAGERS = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
_OURS = (labels.CHANGED_BY, labels.CHANGE_REASON, "kubectl.kubernetes.io/last-applied-configuration")


def _route(found: Object, namespace: str, known: tuple[Object, Route] | None, *, is_checked: bool) -> Route:
    metadata = found["metadata"]
    actor, is_named, reason = _changed_by(found)
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in _OURS}
    generation = int(metadata.get("generation") or 1)
    version = version_of(found)
    if known is not None:
        # Our own status writes change the resource version, but not the spec. A client that read the route before such
        # a write may still write the spec, so the version stays the same.
        before = known[1]
        same = (before.generation, before.annotations) == (generation, annotations)
        version = before.resource_version if same and known[0]["metadata"]["uid"] == metadata["uid"] else version
    return Route(
        namespace=namespace,
        name=name_of(found),
        generation=generation,
        resource_version=version,
        created_at=metadata["creationTimestamp"],
        actor=actor,
        actor_verified=is_named and is_checked,
        reason=reason,
        annotations=annotations,
        spec=forward_compatibility.read(RouteSpec, found.get("spec") or {}, f"route {name_of(found)!r}"),
    )


def _changed_by(found: Object) -> tuple[str, bool, str]:
    """Who wrote this generation of the spec, whether that is a user's name, and why.

    The user's name is in our command's annotation. Who writes without it leaves only the name of a field manager, which
    every client chooses itself.
    """
    generation, _, user = annotation(found, labels.CHANGED_BY).partition(" ")
    if user and generation == str(found["metadata"].get("generation")):
        return user, True, annotation(found, labels.CHANGE_REASON)
    managers = sorted(found["metadata"].get("managedFields") or (), key=lambda one: str(one.get("time")))
    return (str(managers[-1].get("manager")) if managers else ""), False, ""


def _expect(name: str, found: Route | None, expected: int | None) -> None:
    present = found.resource_version if found else 0
    if expected is None or expected == present:
        return
    if expected == 0:
        raise errors.Conflict(f"route {name!r} exists already")
    if found is None:
        raise errors.Conflict(f"route {name!r} was deleted since you read it")
    raise errors.Conflict(
        f"route {name!r} was changed by {found.actor or 'another writer'} since you read it",
        hint="read it again and repeat the change",
    )


def _document(spec: RouteSpec) -> Object:
    """The spec as stored: only the fields that are set, so that defaults stay defaults."""
    document = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name, version in spec.versions.items():
        if version.source is not None:
            raise errors.Invalid(
                f"version {name!r} has a model folder as its source, but a cluster needs an image",
                hint="build an image, and set `image` to its name with digest",
            )
    return document


def _is_being_deleted(found: Object) -> bool:
    return "deletionTimestamp" in found["metadata"]
