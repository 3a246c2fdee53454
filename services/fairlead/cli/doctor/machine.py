"""The checks of one machine, without a cluster."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fairlead import errors
from fairlead.cli.doctor.finding import Check, Finding, examine, problem, warning
from fairlead.local import envoy, ports

ENVOY = (1, 38)
"""The oldest Envoy that is tested."""
GATEWAY, CONTROL = 8080, 8081
_LEAST_FREE = 1 << 30
_SLOW_S = 5.0


def envoy_works(state: Path) -> Iterator[Finding]:  # noqa: ARG001 - every check of a machine gets the folder
    """The binary that `fairlead up` would run."""
    why = "`fairlead up` runs it as the gateway"
    try:
        binary = envoy.find(None)
    except errors.NotFound as missing:
        yield problem("there is no Envoy", why, missing.hint or "")
        return
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=_SLOW_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        yield problem(f"{binary} cannot be run: {error}", why, "name another one: fairlead up FILE --envoy PATH")
        return
    found = re.search(r"/(\d+)\.(\d+)\.\d+[^/]*/", said)
    if found is None or (int(found[1]), int(found[2])) < ENVOY:
        version = f"Envoy {found[1]}.{found[2]}" if found else "an unknown version"
        yield problem(
            f"{binary} is {version}",
            f"Fairlead is tested with {ENVOY[0]}.{ENVOY[1]} and newer, and an older one rejects its configuration",
            "install a newer one, or name one: fairlead up FILE --envoy PATH",
        )


def ports_are_free(state: Path) -> Iterator[Finding]:
    """The two usual ports, unless the platform of this folder has them."""
    if (state / "run.json").exists():
        return
    for port, flag in ((GATEWAY, "--port"), (CONTROL, "--control-port")):
        if not ports.is_free(port):
            yield warning(
                f"another process listens on port {port}",
                "`fairlead up` takes it unless you name another one",
                f"fairlead up FILE {flag} PORT",
            )


def folder_is_private(state: Path) -> Iterator[Finding]:
    """The state folder is the user's own, and nobody else opens it."""
    if not state.exists():
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        yield problem(
            f"other users can open {state}: its mode is {mode:03o}",
            "whoever writes to its sockets and ledger decides about rollouts",
            f"chmod 700 {state}",
        )


def disk_has_room(state: Path) -> Iterator[Finding]:
    """Space for copies of model folders, logs and the ledger."""
    place = next(one for one in (state, *state.absolute().parents) if one.exists())
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        yield warning(
            f"{free >> 20} MiB are free where {state} is",
            "a version is a copy of its folder there, and a full disk stops the ledger",
            "free some space, or use a state folder on another disk: --state PATH/.fairlead",
        )


CHECKS = (
    Check("Envoy is there, and new enough", envoy_works),
    Check(f"ports {GATEWAY} and {CONTROL} are free, or a platform of this folder was started", ports_are_free),
    Check("the state folder is private, or there is none yet", folder_is_private),
    Check("the disk has room", disk_has_room),
)


def look(state: Path) -> list[Finding]:
    """The findings for `fairlead up` with this state folder."""
    return list(examine(state, CHECKS))
