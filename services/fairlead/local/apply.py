"""Write the models of a platform file, or one model folder, to the store as routes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.platform import LocalModel, Platform
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, RouteSpec, Target
from fairlead.local.folders import version_spec
from fairlead.store.base import RouteStore, Store

APPLIED_TARGET = "fairlead.dev/applied-target"
"""Annotation: the target that the file named when it was last applied."""
APPLIED_VERSIONS = "fairlead.dev/applied-versions"
"""Annotation: the versions that the file named then, separated by commas."""


def read_platform(file: Path) -> Platform:
    """Read and validate the file. Raises NotFound or Invalid, naming the fields."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise errors.NotFound(f"there is no {file}", hint="give a platform file: fairlead up FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"{file} cannot be read: {error}") from error
    return parse_yaml(Platform, text, str(file))


def route_spec(name: str, model: LocalModel, base: Path) -> RouteSpec:
    """One model of the file as a route spec. Sources are relative to `base`.

    Raises Invalid if a folder's manifest has another model name or version than the file.
    """
    versions = {}
    idempotent = True
    for version, local in model.versions.items():
        manifest, spec = version_spec(base / local.source, local.instances)
        if (manifest.name, manifest.version) != (name, version):
            raise errors.Invalid(
                f"models.{name}.versions.{version}: the folder {local.source} holds {manifest.name} {manifest.version}"
            )
        versions[version] = spec
        idempotent = idempotent and manifest.idempotent
    return RouteSpec(
        model=name,
        versions=versions,
        target=Target(version=model.target),
        sticky=model.sticky,
        timeouts=model.timeouts,
        idempotent=idempotent,
        mirrors=model.mirrors,
        strategy=model.strategy,
    )


def apply(store: Store, platform: Platform, base: Path, *, now: datetime, actor: str) -> list[Route]:
    """Write every model of the file to the store, except those whose stored route cannot be read.

    The file's target is applied only if the model is new or the target changed in the file since it was last applied:
    restarting the platform must not undo a release that a command made in the meantime. For the same reason versions
    that `deploy` added are kept; a version that left the file is removed. Raises Conflict if the folder of a version
    that serves has another artifact now: its instances could not start again.
    """
    specs = {name: route_spec(name, model, base) for name, model in platform.models.items()}
    existing = {route.name: route for route in store.routes()}
    # Perhaps a newer Fairlead wrote such a route, and what it serves must not stop the others from starting.
    for name, spec in specs.items():
        if name in existing:
            _require_unchanged(existing[name], spec, _head(store, name))
    left = {one.name for one in store.unreadable_routes()}
    return [_put(store, name, spec, existing.get(name), now, actor) for name, spec in specs.items() if name not in left]


def _head(store: Store, name: str) -> Revision | None:
    try:
        return store.head(name)
    except errors.Invalid:
        return None  # the control plane reports it


def _require_unchanged(known: Route, spec: RouteSpec, head: Revision | None) -> None:
    serving = {head.table.stable, head.table.candidate, head.state.target} if head is not None else set()
    for version, now in spec.versions.items():
        before = known.spec.versions.get(version)
        if before is None or before.source != now.source or before.artifact == now.artifact:
            continue
        if before.ref(version) in serving:
            raise errors.Conflict(
                f"models.{known.name}.versions.{version}: {now.source} was changed: {known.name} {version} serves the "
                f"artifact with sha256 {before.artifact or 'none'}, the folder now has {now.artifact or 'none'}",
                hint="restore the folder, or give the new artifact a version and a folder of its own; to start without "
                "the past, delete the state folder",
            )


def _put(store: RouteStore, name: str, spec: RouteSpec, known: Route | None, now: datetime, actor: str) -> Route:
    applied = {APPLIED_TARGET: spec.target.version, APPLIED_VERSIONS: ",".join(spec.versions)}
    if known is not None:
        if known.annotations.get(APPLIED_TARGET) == spec.target.version:
            spec = spec.model_copy(update={"target": known.spec.target})
        # The target is kept even if it left the file: it may be all that serves.
        left_the_file = set(known.annotations.get(APPLIED_VERSIONS, "").split(",")) - {spec.target.version}
        deployed = {version: one for version, one in known.spec.versions.items() if version not in left_the_file}
        spec = spec.model_copy(update={"versions": {**deployed, **spec.versions}})
    return store.put_route(
        name,
        spec,
        now=now,
        actor=actor,
        reason="fairlead up",
        annotations=applied,
        expected=known.resource_version if known else 0,
    )


def deploy(
    store: RouteStore, folder: Path, *, instances: int | None = None, now: datetime, actor: str, reason: str
) -> Route:
    """Add the folder's version to its route. For a model's first version, create the route with it as the target.

    Without `instances` a version that exists keeps its number of them, and a new one has one. Raises Conflict if the
    version exists with another artifact or from another folder, because a version is immutable.
    """
    manifest, version = version_spec(folder, instances or 1)
    known = next((route for route in store.routes() if route.name == manifest.name), None)
    if known is None:
        spec = RouteSpec(
            model=manifest.name,
            versions={manifest.version: version},
            target=Target(version=manifest.version),
            idempotent=manifest.idempotent,
        )
        return store.put_route(manifest.name, spec, now=now, actor=actor, reason=reason, expected=0)
    present = known.spec.versions.get(manifest.version)
    if present is not None and present.artifact != version.artifact:
        raise errors.Conflict(
            f"{manifest.name} {manifest.version} is already deployed with another artifact "
            f"(sha256 {present.artifact or 'none'}, this folder has {version.artifact or 'none'})",
            hint="give the new artifact a new version",
        )
    if present is not None and _are_two_folders(present.source, version.source):
        raise errors.Conflict(
            f"{manifest.name} {manifest.version} is already deployed from another folder: {present.source}",
            hint="the code in this folder may differ: give it a new version",
        )
    if present is not None and instances is None:
        version = version.model_copy(update={"instances": present.instances})
    versions = {**known.spec.versions, manifest.version: version}
    spec = known.spec.model_copy(
        update={"versions": versions, "idempotent": known.spec.idempotent and manifest.idempotent}
    )
    return store.put_route(
        known.name,
        spec,
        now=now,
        actor=actor,
        reason=reason,
        annotations=known.annotations,
        expected=known.resource_version,
    )


def _are_two_folders(deployed: str | None, now: str | None) -> bool:
    """Whether both exist: a folder that was moved may be deployed from its new place."""
    if deployed is None or now is None:
        return deployed != now
    return Path(deployed).exists() and Path(deployed).resolve() != Path(now).resolve()
