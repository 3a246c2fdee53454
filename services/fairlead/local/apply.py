"""A platform file, or one folder, becomes routes in the store."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.platform import LocalModel, Platform
from fairlead.contracts.route import Route, RouteSpec, Target
from fairlead.local.folders import version_spec
from fairlead.store.base import RouteStore

APPLIED_TARGET = "fairlead.dev/applied-target"


def read_platform(file: Path) -> Platform:
    """The file as a document. Raises NotFound or Invalid, naming the fields."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise errors.NotFound(f"there is no {file}", hint="name a platform file: fairlead up FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"{file} cannot be read: {error}") from error
    return parse_yaml(Platform, text, str(file))


def route_spec(name: str, model: LocalModel, base: Path) -> RouteSpec:
    """One model of the file as a route; sources are relative to `base`, and must be what the file says they are."""
    versions = {}
    idempotent = True
    for version, local in model.versions.items():
        manifest, spec = version_spec(base / local.source, local.instances)
        if (manifest.name, manifest.version) != (name, version):
            raise errors.Invalid(
                f"models.{name}.versions.{version}: {local.source} holds {manifest.name} {manifest.version}"
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


def apply(store: RouteStore, platform: Platform, base: Path, *, now: datetime, actor: str) -> list[Route]:
    """Write every model of the file to the store.

    The file's target is taken when it is new, or when it changed since it was last applied: starting the platform
    again must not undo a release made in the meantime by a command.
    """
    specs = {name: route_spec(name, model, base) for name, model in platform.models.items()}
    existing = {route.name: route for route in store.routes()}
    return [_put(store, name, spec, existing.get(name), now, actor) for name, spec in specs.items()]


def _put(store: RouteStore, name: str, spec: RouteSpec, known: Route | None, now: datetime, actor: str) -> Route:
    wish = spec.target.version
    if known is not None:
        kept = {
            version: known.spec.versions[version] for version in known.spec.versions if version not in spec.versions
        }
        if known.annotations.get(APPLIED_TARGET) == wish:
            spec = spec.model_copy(update={"target": known.spec.target})
        # A version deployed by a command, and released since, stays; the file does not know it.
        if spec.target.version in kept:
            spec = spec.model_copy(update={"versions": {**spec.versions, **kept}})
    return store.put_route(
        name,
        spec,
        now=now,
        actor=actor,
        reason="fairlead up",
        annotations={APPLIED_TARGET: wish},
        expected=known.resource_version if known else 0,
    )


def deploy(store: RouteStore, folder: Path, *, instances: int, now: datetime, actor: str, reason: str) -> Route:
    """Add the folder's version to its route, or make the route with it as the target when it is the first.

    Raises Conflict when the version is there with another artifact: a version is immutable.
    """
    manifest, version = version_spec(folder, instances)
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
