"""The versions that served before, as `fairlead rollback --to` names them: by version or by revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.spelling import VERSION_PREFIX


def revision_named(name: str | int, route: Route, revisions: Callable[[], Sequence[Revision]]) -> int:
    """The revision that a user names: 12, "12", "iris.12", or a version: the newest revision in which it was stable.

    "version:12" is never a revision. `revisions` reads the kept ones, ascending; it is called only where a version may
    be meant. Raises NotFound for a version that was never stable, and Invalid for a number that is both.
    """
    text = str(name)
    number = text.removeprefix(f"{route.name}.")
    if isinstance(name, int) or (number != text and number.isdigit()):
        return int(number)
    kept = revisions()
    newest = {one.table.stable.version: one.seq for one in kept}
    version = text.removeprefix(VERSION_PREFIX)
    if version != text or not text.isdigit():
        if version in newest:
            return newest[version]
        raise _never_stable(f"{version!r} is no revision of {route.name}, and", route, newest)
    exists = any(one.seq == int(text) for one in kept)
    if text in newest and exists:
        last = f"{route.name}.{newest[text]}"
        raise errors.Invalid(
            f"--to {text} can mean revision {route.name}.{text} or version {text}",
            hint=f"the revision: --to {route.name}.{text}; version {text}, stable in {last}: --to {last}",
        )
    if text in newest:
        return newest[text]
    if text in route.spec.versions:
        revision = f" (revision {text}: --to {route.name}.{text})" if exists else ""
        raise _never_stable(f"{text} is a version of {route.name}{revision}, but", route, newest)
    return int(text)


def _never_stable(what: str, route: Route, newest: Mapping[str, int]) -> errors.NotFound:
    served = ", ".join(f"{version} ({route.name}.{seq})" for version, seq in newest.items())
    return errors.NotFound(
        f"{what} no version of this name was stable in a kept revision",
        hint=f"stable were, last in this revision: {served}; all revisions: fairlead history {route.name}",
    )


def once_stable(revisions: Sequence[Revision]) -> tuple[VersionRef, ...]:
    """The versions that were stable in a kept revision and are not now, the one that was stable last first.

    A version's name means the identity that had it last.
    """
    newest = {one.table.stable.version: one.table.stable for one in revisions}
    now = revisions[-1].table.stable if revisions else None
    last_first = dict.fromkeys(one.table.stable for one in reversed(revisions))
    return tuple(ref for ref in last_first if ref == newest[ref.version] and ref != now)


def names_to_return_to(route: Route, revisions: Sequence[Revision], instances: Sequence[Instance]) -> list[str]:
    """The versions that a rollback `--to` their name would accept now, the one that was stable last first.

    They were stable in a kept revision and are not now, the spec still lists them, and one instance is ready.
    """
    specified = {spec.ref(version) for version, spec in route.spec.versions.items()}
    ready = {
        one.ref for one in instances if one.ready and (one.namespace, one.model) == (route.namespace, route.spec.model)
    }
    return [ref.version for ref in once_stable(revisions) if ref in specified & ready]
