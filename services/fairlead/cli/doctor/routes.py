"""Routes and the objects of their versions."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from fairlead import errors
from fairlead.cli.doctor.finding import Check, Finding, problem, warning
from fairlead.cli.doctor.kinds import SERVICES
from fairlead.cli.doctor.seen import OURS, Seen, title, wanted
from fairlead.contracts import labels
from fairlead.contracts.parsing import parse
from fairlead.contracts.route import RouteSpec, VersionRef
from fairlead.contracts.status import Status
from fairlead.store.kubernetes.instances import ref_of
from fairlead.store.kubernetes.kinds import Object, annotation, label, name_of

_RELEASE = "meta.helm.sh/release-name"


def versions_exist(seen: Seen) -> Iterator[Finding]:
    """Every version of a spec has a Deployment, and has the pods that the rollout wants."""
    there = {name_of(one): one for one in seen.versions}
    for route, spec in _specs(seen):
        for version, one in spec.versions.items():
            name = labels.version_name(spec.model, one.ref(version))
            if name not in there:
                target = version == spec.target.version
                yield (problem if target else warning)(
                    f"{name_of(route)} names version {version}, and there is no Deployment {name}",
                    "it is the target, so the rollout waits for it for ever" if target else "it cannot be released",
                    "install it with the model's chart, or take it out of `versions`; an image or artifact that was "
                    "changed under the same name is another version",
                )
        for want in _status(route).wanted:
            found = there.get(labels.version_name(spec.model, want.ref))
            if found is not None and wanted(found) < want.instances:
                yield warning(
                    f"{title(found)} has {wanted(found)} pods, and the rollout wants {want.instances}: {want.reason}",
                    "the weight rises only with capacity, so the rollout waits",
                    "raise maxInstances of its autoscaler or its instances, or see why nothing scales it (below)",
                )


def digests(seen: Seen) -> Iterator[Finding]:
    """Images by digest."""
    for route, spec in _specs(seen):
        if tagged := [version for version, one in spec.versions.items() if one.image and "@" not in one.image]:
            yield warning(
                f"{name_of(route)} {', '.join(tagged)}: the image has no digest",
                "if its tag is pushed again, other code runs without a release, and on some pods only",
                "set versions.<version>.image.digest; image.requireDigest: true refuses to install without one",
            )


def owners(seen: Seen) -> Iterator[Finding]:
    """One Helm release for a route and its versions."""
    services = seen.list(SERVICES, OURS)
    for route in seen.routes:
        of_route = [one for one in (*seen.versions, *services) if label(one, labels.ROUTE) == name_of(route)]
        releases = {annotation(one, _RELEASE) for one in (route, *of_route)} - {""}
        if len(releases) > 1:
            yield problem(
                f"{len(releases)} releases of Helm own parts of {name_of(route)}: {', '.join(sorted(releases))}",
                "an upgrade of one takes back what the other wrote, and an uninstall of one deletes parts of it",
                "keep one release: give the model of the other a name of its own (model: NAME)",
            )


def unnamed(seen: Seen) -> Iterator[Finding]:
    """Versions that no route needs, with their pods."""
    routes = {name_of(route): (spec, _status(route)) for route, spec in _specs(seen)}
    all_routes = {name_of(one) for one in seen.routes}
    for one in seen.versions:
        name = label(one, labels.ROUTE)
        if name not in all_routes:
            yield warning(
                f"{title(one)} belongs to the route {name}, which does not exist",
                f"nobody sends it requests, and its {wanted(one)} pods stay",
                f"kubectl delete deployment,service --namespace {seen.namespace} "
                f"--selector {labels.ROUTE}={name},{labels.IDENTITY}={label(one, labels.IDENTITY)}",
            )
        elif name in routes and ref_of(one) not in _needed(*routes[name]) and not _is_owned(one):
            yield warning(
                f"{title(one)} is in no `versions` of {name}, and the route does not own it",
                f"the control plane deletes only what the route owns, so its {wanted(one)} pods may stay",
                "wait: after an hour the control plane takes it over and deletes it; or delete its Deployment",
            )


def _needed(spec: RouteSpec, status: Status) -> set[VersionRef | None]:
    named = {one.ref(version) for version, one in spec.versions.items()}
    return {*named, status.stable, status.candidate, status.target, status.previous}


def _is_owned(one: Object) -> bool:
    return any(owner.get("kind") == "ModelRoute" for owner in one["metadata"].get("ownerReferences") or ())


def _specs(seen: Seen) -> Iterator[tuple[Object, RouteSpec]]:
    """The routes that can be read. The control plane says which cannot, in their status."""
    for one in seen.routes:
        try:
            yield one, parse(RouteSpec, one["spec"], name_of(one))
        except errors.Invalid:
            continue


def _status(route: Object) -> Status:
    """What the control plane says of a route; empty while it has said nothing that we can read."""
    written = {name: value for name, value in (route.get("status") or {}).items() if name in _FIELDS}
    try:
        return Status.model_validate({"route": name_of(route), "observedGeneration": 0, **written})
    except ValidationError:
        return Status(route=name_of(route), observed_generation=0)


_FIELDS = ("stable", "candidate", "target", "previous", "wanted")

CHECKS = (
    Check("every version has a Deployment, and the pods that its rollout wants", versions_exist),
    Check("images are named by digest", digests),
    Check("each route belongs to one release", owners),
    Check("every version belongs to a route that needs it", unnamed),
)
