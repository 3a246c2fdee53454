"""Shows what a new version changes in the types of rows and answers, before any user sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console

from fairlead.cli.output import say, text
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, VersionSpec
from fairlead.contracts.schema_changes import Change, changes
from fairlead.local.state import Schemas, StateFolder
from fairlead.serving.check.own_process import schemas_in_own_process


def say_type_changes(
    state: StateFolder, route: Route, head: Revision | None, version: str, *, to: TextIO | None = None
) -> None:
    """Print what the version changes for clients of stable, one line each; nothing where nothing changes.

    Nothing either where stable, or a folder, is not known here, or its code cannot be read.
    """
    stable = head.table.stable if head is not None else None
    before = route.spec.versions.get(stable.version) if stable is not None else None
    if stable is None or before is None or before.ref(stable.version) != stable or version == stable.version:
        return
    with Console(stderr=True).status(text(f"comparing {version} with {stable.version}")):
        old, new = (_schemas(state, one) for one in (before, route.spec.versions[version]))
    found = _compared(old, new) if old is not None and new is not None else ()
    if not found:
        return
    breaking = sum(one.is_breaking for one in found)
    say(
        f"{version} changes the types of {stable.version}, {f'{breaking} breaking' if breaking else 'all safe'}:", to=to
    )
    for one in found:
        say(f"  {one}", to=to)


def _compared(old: Schemas, new: Schemas) -> Sequence[Change]:
    return [*changes(old["row"], new["row"], "row"), *changes(old["answer"], new["answer"], "answer")]


def _schemas(state: StateFolder, version: VersionSpec) -> Schemas | None:
    known = state.schemas(version.folder)
    if known is not None or version.source is None or not Path(version.source).is_dir():
        return known
    found = schemas_in_own_process(Path(version.source))
    if found is not None:
        state.note_schemas(version.folder, found)
    return found
