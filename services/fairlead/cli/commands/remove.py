"""`fairlead remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.connect import actor, connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)
from fairlead.cli.output import print_json, say
from fairlead.local import remove
from fairlead.local.state import StateFolder
from fairlead.local.versions import VersionCopies
from fairlead.store.sqlite import SqliteStore


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it also while a rollout is in progress.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until its instances have stopped.")] = 60.0,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a model: the gateway answers 404 for it, and its instances finish their requests and stop.

    Its ledger stays, and a later `fairlead deploy` of the same model continues it. In a cluster this command says which
    command of helm or kubectl removes the model.
    """
    where = PlatformLocation(state, context, namespace)
    if where.in_cluster:
        optional_modules.load("fairlead.cli.cluster").refuse_removal(context, namespace, model)
    connect(where)  # says what to do where there is no platform
    store, folder = SqliteStore(state / "ledger.db"), StateFolder(state)
    last = remove.remove(store, folder, model, actor=actor(), reason=reason or f"remove {model}", during_rollout=yes)
    is_running = folder.is_running()
    left = remove.wait_until_stopped(store, model, timeout_s=wait) if is_running else []
    if left:
        raise errors.Unavailable(
            f"{model} is removed, but instances of it still run: {', '.join(left)}. "
            "They are stopped when the gateway has confirmed that it sends them no requests",
            hint=f"check that the control plane and the gateway answer: read {folder.logs}/control-plane.log",
        )
    copies = VersionCopies(folder.versions)
    with copies.locked():
        copies.remove_unused(store)
    if as_json:
        print_json({"model": model, "revision": last.id if last else None, "stopped": is_running})
        return
    if is_running:
        stopped = "its instances have finished their requests and stopped"
    elif folder.orphans():
        stopped = "processes of a platform that was killed still run: `fairlead down` stops them"
    else:
        stopped = "no platform runs here"
    say(f"{model}: removed{f', revision {last.id}' if last else ''}; {stopped}")
    if last is not None:
        say(f"its ledger stays: fairlead history {model}")
    say("a platform file that names it deploys it again: remove it there too")
