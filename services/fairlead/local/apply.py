"""Write the models of a platform file, or one model folder, to the store as routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.platform import LocalModel, LocalVersion, Platform
from fairlead.contracts.route import Route, RouteSpec, Target, VersionSpec
from fairlead.local.folders import differences, digests, version_spec
from fairlead.local.versions import VersionCopies
from fairlead.routing.access_file import read_access
from fairlead.store.base import RouteStore, Store
from fairlead.tls import Files, check

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
    platform = parse_yaml(Platform, text, str(file))
    base = file.absolute().parent
    platform = _with_clients(platform, base) if platform.gateway.auth is not None else platform
    return _with_certificates(platform, base) if platform.gateway.tls is not None else platform


def _with_clients(platform: Platform, base: Path) -> Platform:
    """The same, with the absolute path of the file of clients. Raises Invalid if that file cannot be used."""
    assert platform.gateway.auth is not None
    file = base / platform.gateway.auth.file
    read_access(file, only_owner=True)
    auth = platform.gateway.auth.model_copy(update={"file": str(file)})
    return platform.model_copy(update={"gateway": platform.gateway.model_copy(update={"auth": auth})})


def _with_certificates(platform: Platform, base: Path) -> Platform:
    """The same, with absolute paths of the certificate's files. Raises Invalid if they cannot be used."""
    assert platform.gateway.tls is not None
    named = platform.gateway.tls.model_dump(include={"certificate", "key", "client_ca"}, exclude_none=True)
    paths = {field: str(base / path) for field, path in named.items()}
    tls = platform.gateway.tls.model_copy(update=paths)
    check(Files(Path(tls.certificate), Path(tls.key), Path(tls.client_ca) if tls.client_ca else None), server=True)
    return platform.model_copy(update={"gateway": platform.gateway.model_copy(update={"tls": tls})})


def route_spec(
    name: str, model: LocalModel, base: Path, copies: VersionCopies, known: RouteSpec | None = None
) -> RouteSpec:
    """One model of the file as a route spec. Sources are relative to `base`; the spec names copies of them.

    Raises Invalid if a folder's manifest has another model name or version than the file, and Conflict if `known` has
    the version with other content.
    """
    versions = {}
    idempotent = True
    for version, local in model.versions.items():
        present = known.versions.get(version) if known is not None else None
        manifest, spec = _read(name, version, local, base, present)
        versions[version] = _kept(manifest, spec, present, copies)
        idempotent = idempotent and manifest.idempotent
    return RouteSpec(
        model=name,
        versions=versions,
        target=Target(version=model.target),
        sticky=model.sticky,
        timeouts=model.timeouts,
        scale_to_zero=model.scale_to_zero,
        idempotent=idempotent,
        mirrors=model.mirrors,
        strategy=model.strategy,
    )


def wrong_versions(
    platform: Platform, base: Path, known: Mapping[str, RouteSpec]
) -> Iterator[tuple[str, errors.FairleadError]]:
    """The versions of the file that `apply` refuses, by their place in the file, and why. Writes nothing."""
    for name, model in platform.models.items():
        stored = known[name].versions if name in known else {}
        for version, local in model.versions.items():
            try:
                _read(name, version, local, base, stored.get(version))
            except errors.FairleadError as error:
                yield f"models.{name}.versions.{version}", error


def _read(
    name: str, version: str, local: LocalVersion, base: Path, present: VersionSpec | None
) -> tuple[Manifest, VersionSpec]:
    """A version as its folder is now. Raises Invalid if the folder holds another one, and Conflict if other content."""
    where, folder = f"models.{name}.versions.{version}", base / local.source
    if present is not None and present.folder and not folder.exists():
        folder = Path(present.source or "")  # the copy is the version; its folder is not needed any more
    manifest, spec = version_spec(folder, local.instances)
    if (manifest.name, manifest.version) != (name, version):
        raise errors.Invalid(f"{where}: the folder {local.source} holds {manifest.name} {manifest.version}")
    _check_same(manifest, spec, present, where)
    return manifest, spec.model_copy(update={"min_instances": local.min_instances})


def _kept(manifest: Manifest, version: VersionSpec, present: VersionSpec | None, copies: VersionCopies) -> VersionSpec:
    """The version as it is stored: with a copy of its folder."""
    if present is not None and not present.folder:
        # An earlier Fairlead deployed it. With the digest of its folder it would be another version of the same name.
        return version.model_copy(update={"folder": ""})
    return copies.keep(manifest, version)


def _check_same(manifest: Manifest, version: VersionSpec, present: VersionSpec | None, where: str) -> None:
    """Raise Conflict if the version is present with other content."""
    if present is not None and (why := _why_other(present, version)):
        name = f"{manifest.name} {manifest.version}"
        raise errors.Conflict(
            f"{where}: {version.source} is not what was deployed as {name}: {why}",
            hint=f"a version never changes: give the new content a new version; {name} serves as it was. "
            f"To begin again without the past: fairlead remove {manifest.name}",
        )


def _why_other(present: VersionSpec, now: VersionSpec) -> str:
    """Why the content is another one, as part of a sentence; empty if it is the same as far as that is known."""
    if present.artifact != now.artifact:
        artifacts = f"its artifact has the sha256 {now.artifact or 'none'}, not {present.artifact or 'none'}"
    else:
        artifacts = ""
    if not present.folder:
        is_moved = _are_two_folders(present.source, now.source)
        return artifacts or (f"it was deployed from {present.source}, and the code may differ" if is_moved else "")
    if present.folder == now.folder:
        return ""
    try:
        files = differences(digests(Path(present.source or "")), digests(Path(now.source or "")))
    except errors.FairleadError:
        files = ""  # the copy is gone
    whole = f"its files have the sha256 {now.folder[:12]}, not {present.folder[:12]}"
    return ", ".join(filter(None, (files or whole, artifacts)))


def apply(
    store: Store, platform: Platform, base: Path, copies: VersionCopies, *, now: datetime, actor: str
) -> list[Route]:
    """Write every model of the file to the store, except those whose stored route cannot be read.

    The file's target is applied only if the model is new or the target changed in the file since it was last applied:
    restarting the platform must not undo a release that a command made in the meantime. For the same reason versions
    that `deploy` added are kept; a version that left the file is removed. Raises Conflict if the folder of a version
    has other content than the version that is deployed, because a version is immutable; then nothing is written.
    """
    existing = {route.name: route for route in store.routes()}
    # Perhaps a newer Fairlead wrote such a route, and what it serves must not stop the others from starting.
    left = {one.name for one in store.unreadable_routes()}
    with copies.locked():
        known = {name: route.spec for name, route in existing.items()}
        specs = {
            name: route_spec(name, model, base, copies, known.get(name))
            for name, model in platform.models.items()
            if name not in left
        }
        routes = [_put(store, name, spec, existing.get(name), now, actor) for name, spec in specs.items()]
        copies.remove_unused(store)
    return routes


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
        annotations={**(known.annotations if known is not None else {}), **applied},
        expected=known.resource_version if known else 0,
    )


def deploy(
    store: Store,
    folder: Path,
    copies: VersionCopies,
    *,
    instances: int | None = None,
    now: datetime,
    actor: str,
    reason: str,
    check: Callable[[Manifest, VersionSpec], None] = lambda manifest, version: None,
) -> Route:
    """Add the folder's version to its route. For a model's first version, create the route with it as the target.

    The version is a copy of the folder. Without `instances` a version that exists keeps its number of them, and a new
    one has one. A new version is given to `check` first, and nothing is deployed if that raises. Raises Conflict if the
    version exists with other content, because a version is immutable.
    """
    manifest, version = version_spec(folder, instances or 1)
    if not any(one.name == manifest.name and manifest.version in one.spec.versions for one in store.routes()):
        check(manifest, version)
    with copies.locked():
        known = next((route for route in store.routes() if route.name == manifest.name), None)
        present = known.spec.versions.get(manifest.version) if known is not None else None
        if present is not None and instances is None:
            version = version.model_copy(update={"instances": present.instances})
        if present is not None:
            version = version.model_copy(update={"min_instances": present.min_instances})
        _check_same(manifest, version, present, "not deployed")
        version = _kept(manifest, version, present, copies)
        if known is None:
            spec = RouteSpec(
                model=manifest.name,
                versions={manifest.version: version},
                target=Target(version=manifest.version),
                idempotent=manifest.idempotent,
            )
        else:
            versions = {**known.spec.versions, manifest.version: version}
            idempotent = known.spec.idempotent and manifest.idempotent
            spec = known.spec.model_copy(update={"versions": versions, "idempotent": idempotent})
        route = store.put_route(
            manifest.name,
            spec,
            now=now,
            actor=actor,
            reason=reason,
            annotations=known.annotations if known is not None else None,
            expected=known.resource_version if known is not None else 0,
        )
        copies.remove_unused(store)
    return route


def _are_two_folders(deployed: str | None, now: str | None) -> bool:
    """Whether both exist: a folder that was moved may be deployed from its new place."""
    if deployed is None or now is None:
        return deployed != now
    return Path(deployed).exists() and Path(deployed).resolve() != Path(now).resolve()
