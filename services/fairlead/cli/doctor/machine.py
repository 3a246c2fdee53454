"""The checks of one machine, without a cluster."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fairlead import errors
from fairlead.cli.clients_file import complaints
from fairlead.cli.doctor.certificate_end import SOON, ends_soon
from fairlead.cli.doctor.finding import Check, Finding, NotChecked, examine, problem, warning
from fairlead.contracts.platform import ControlSettings, GatewaySettings, Platform
from fairlead.contracts.route import RouteSpec
from fairlead.local import envoy, ports
from fairlead.local.apply import read_platform, wrong_versions
from fairlead.local.state import StateFolder
from fairlead.store.sqlite import SqliteStore
from fairlead.tls import Files, check, valid_until

ENVOY = (1, 38)
"""The oldest Envoy that is tested."""
_LEAST_FREE = 1 << 30
_SLOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at: the state folder, and the settings of the platform file or of the platform that runs."""

    state: Path
    gateway: GatewaySettings = GatewaySettings()
    control: ControlSettings = ControlSettings()
    file: Path | None = None
    platform: Platform | None = None
    """What the file says, if it can be used."""
    wrong: errors.FairleadError | None = None
    """Why the platform file cannot be used."""

    @classmethod
    def of(cls, state: Path, file: Path | None) -> Machine:
        """With a platform file, as it is there; else as the platform of the state folder was started last."""
        if file is None:
            run = StateFolder(state).last_run()
            return cls(state, run.gateway, run.control) if run is not None else cls(state)
        try:
            platform = read_platform(file)
        except errors.FairleadError as error:
            return cls(state, file=file, wrong=error)
        return cls(state, platform.gateway, platform.control, file, platform)

    def routes(self) -> tuple[dict[str, RouteSpec], set[str]]:
        """The routes of the state folder, and the names of those that cannot be read."""
        ledger = self.state / "ledger.db"
        if not ledger.exists():
            return {}, set()
        with SqliteStore(ledger) as store:
            return {one.name: one.spec for one in store.routes()}, {one.name for one in store.unreadable_routes()}


def file_is_right(machine: Machine) -> Iterator[Finding]:
    """The platform file, as `fairlead up` would read it."""
    why = f"`fairlead up {machine.file}` does not start with it"
    if machine.wrong is not None:
        yield problem(machine.wrong.message, why, machine.wrong.hint or "correct the file")
    if machine.platform is not None and machine.file is not None:
        known, unreadable = machine.routes()
        read = {name: model for name, model in machine.platform.models.items() if name not in unreadable}
        platform = machine.platform.model_copy(update={"models": read})
        for where, error in wrong_versions(platform, machine.file.absolute().parent, known):
            what = error.message if error.message.startswith(where) else f"{where}: {error.message}"
            yield problem(
                what, f"`fairlead up {machine.file}` does not start with it", error.hint or "correct the file"
            )


def envoy_works(machine: Machine) -> Iterator[Finding]:  # noqa: ARG001 - every check gets the same
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


def ports_are_free(machine: Machine) -> Iterator[Finding]:
    """The two ports, unless the platform of this folder has them."""
    folder = StateFolder(machine.state)
    try:
        if folder.is_running() or folder.orphans():
            return
    except OSError as error:
        raise NotChecked(f"{machine.state} is another user's: {error.strerror}") from error
    for port, flag in ((machine.gateway.port, "--port"), (machine.control.port, "--control-port")):
        if not ports.is_free(port):
            yield warning(
                f"another process listens on port {port}",
                "`fairlead up` takes it unless you name another one",
                f"fairlead up FILE {flag} PORT",
            )
    if machine.gateway.tls is not None and not ports.is_free(machine.gateway.tls.port):
        yield warning(
            f"another process listens on port {machine.gateway.tls.port}",
            "`fairlead up` needs it for TLS",
            "name another one in the platform file: gateway.tls.port",
        )


def certificate_lasts(machine: Machine) -> Iterator[Finding]:
    """The certificate of the entry, now and for two weeks."""
    tls = machine.gateway.tls
    if tls is None:
        return
    try:
        check(Files(Path(tls.certificate), Path(tls.key), Path(tls.client_ca) if tls.client_ca else None), server=True)
    except errors.Invalid as wrong:
        yield problem(wrong.message, "clients do not get TLS, or a certificate of before", wrong.hint or "")
        return
    left = valid_until(Path(tls.certificate).read_text(encoding="utf-8", errors="replace")) - datetime.now(UTC)
    if left < SOON:
        yield ends_soon(f"the certificate {tls.certificate}", left, "replace the file: nothing restarts")


def clients_are_known(machine: Machine) -> Iterator[Finding]:
    """The document of clients, and the models that it names."""
    if machine.gateway.auth is None:
        return
    known, unreadable = machine.routes()
    models = {*known, *unreadable, *(machine.platform.models if machine.platform is not None else ())}
    for one in complaints(Path(machine.gateway.auth.file), models):
        yield (problem if one.keeps else warning)(one.what, one.why, one.do)


def folder_is_private(machine: Machine) -> Iterator[Finding]:
    """The state folder is the user's own, and nobody else opens it."""
    state = machine.state
    if not state.exists():
        return
    mode = stat.S_IMODE(state.stat().st_mode)
    if mode & 0o077:
        yield problem(
            f"other users can open {state}: its mode is {mode:03o}",
            "whoever writes to its sockets and ledger decides about rollouts",
            f"chmod 700 {state}",
        )


def disk_has_room(machine: Machine) -> Iterator[Finding]:
    """Space for copies of model folders, logs and the ledger."""
    state = machine.state
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
    Check("the platform file is right, or none is named", file_is_right),
    Check(
        "the certificate of the entry can be used for two weeks and more, or the entry has no TLS", certificate_lasts
    ),
    Check("the ports of gateway and control plane are free, or this platform has them", ports_are_free),
    Check("the document of clients is right and names models that are there, or none is named", clients_are_known),
    Check("the state folder is private, or there is none yet", folder_is_private),
    Check("the disk has room", disk_has_room),
)


def look(state: Path, file: Path | None = None) -> list[Finding]:
    """The findings for `fairlead up` with this state folder and this platform file."""
    return list(examine(Machine.of(state, file), CHECKS))
