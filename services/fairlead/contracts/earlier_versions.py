"""The versions that served before, as `fairlead rollback --to` names them: by version or by revision."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionRef


def revision_named(name: str | int, route: Route, revisions: Callable[[], Sequence[Revision]]) -> int:
    """The revision that a user names: 12, "12", "iris.12", or a version: the newest revision in which it was stable.

    `revisions` reads the kept ones, ascending; it is called only where a version may be meant. Raises NotFound for a
    version that was never stable, and Invalid for a number that is a version too.
    """
    text = str(name)
    number = text.removeprefix(f"{route.name}.")
    if isinstance(name, int) or (number != text and number.isdigit()):
        return int(number)
    newest = {one.table.stable.version: one.seq for one in revisions()} if _may_be_version(text, route) else {}
    if not text.isdigit():
        if text in newest:
            return newest[text]
        served = ", ".join(f"{version} ({route.name}.{seq})" for version, seq in newest.items())
        raise errors.NotFound(
            f"{text!r} is no revision of {route.name}, and no version of this name was stable in a kept revision",
            hint=f"stable were, last in this revision: {served}; all revisions: fairlead history {route.name}",
        )
    if text in newest:
        last = f"{route.name}.{newest[text]}"
        raise errors.Invalid(
            f"--to {text} can mean revision {route.name}.{text} or version {text}",
            hint=f"the revision: --to {route.name}.{text}; version {text}, stable in {last}: --to {last}",
        )
    return int(text)


def _may_be_version(text: str, route: Route) -> bool:
    return not text.isdigit() or text in route.spec.versions


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
