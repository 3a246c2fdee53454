"""The state folder `.fairlead/`: its paths, the facts about the running platform, and its lock."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import sockets
from fairlead.contracts.parsing import parse
from fairlead.contracts.platform import RunningPlatform
from fairlead.local.left_behind import Known

DEFAULT = Path(".fairlead")
MAX_FIT = 1000
"""Model folders of which it is remembered that they passed their checks."""
MAX_SCHEMAS = 100
"""Model folders whose schemas are remembered."""
Schemas = dict[str, dict[str, Any]]
"""The JSON schemas of rows (`row`) and of answers (`answer`)."""
_FILES = ("ledger.db*", "*.json", "gateway.key", "lock", "supervised", ".gitignore", "gateway/*", "logs/*")
STARTED_WITH = os.umask(0o077)
"""The umask that this process was started with: that of models, whose files are theirs."""
os.umask(STARTED_WITH)


class StateFolder:
    """The paths in one state folder, and the facts about the platform that uses it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.ledger = self.root / "ledger.db"
        self.gateway = self.root / "gateway"
        self.admin_socket = self.root / sockets.ADMIN
        self.logs = self.root / "logs"
        self.versions = self.root / "versions"
        self._run = self.root / "run.json"
        self._children = self.root / "children.json"
        self._targets = self.root / "prometheus-targets.json"
        self._key = self.root / "gateway.key"
        self._lock = self.root / "lock"
        self._supervised = self.root / "supervised"
        self._fit = self.root / "fit.json"
        self._schemas = self.root / "schemas.json"

    def create(self) -> str:
        """Create the folders, for their owner only. Returns what was tightened, as a sentence; empty if nothing was.

        Raises Invalid if they cannot be written.
        """
        try:
            is_old = self.root.exists()
            for folder in (self.root, self.gateway, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            (self.root / ".gitignore").write_text("*\n")
            return self._tighten(is_old=is_old)
        except OSError as error:
            raise errors.Invalid(
                f"the state folder {self.root} cannot be written: {error.strerror}",
                hint="run in a folder that you own, or choose another state folder with --state",
            ) from error

    def _tighten(self, *, is_old: bool) -> str:
        """Take the rights of others away that an earlier Fairlead, or somebody, gave them."""
        was = stat.S_IMODE(self.root.stat().st_mode)
        # By name: a folder that somebody gives as the state folder may also have files of theirs.
        ours = (path for name in _FILES for path in self.root.glob(name))
        for path in (self.root, self.gateway, self.logs, *ours):
            mode = path.lstat().st_mode
            if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & 0o077:
                path.chmod(mode & 0o700)
        return f"other users could open {self.root}; now only you can" if is_old and was & 0o077 else ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for one platform. Raises Conflict, naming the process that holds the lock."""
        with self._lock.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                run = self.last_run()
                who = f" (process {run.pid}, gateway on port {run.gateway.port})" if run else ""
                raise errors.Conflict(
                    f"a platform already runs in {self.root}{who}",
                    hint="stop it with `fairlead down`, or choose another folder with --state",
                ) from None
            self.note_supervised()  # the note of an earlier platform is old, and would read as if this one hung
            yield

    def is_running(self) -> bool:
        """Whether a supervisor holds the lock now."""
        if not self._lock.exists():
            return False
        with self._lock.open("a+") as handle:
            try:
                # Shared: two commands that ask at the same moment must not take each other for the supervisor.
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            return False

    def last_run(self) -> RunningPlatform | None:
        """The platform that runs here, or the last one that did; None if there was none."""
        try:
            return parse(RunningPlatform, json.loads(self._run.read_text()), str(self._run))
        except (OSError, ValueError, errors.Invalid):
            return None

    def running(self) -> RunningPlatform:
        """The platform that runs here now. Raises Unavailable if none does."""
        run = self.last_run()
        if run is None or not self.is_running():
            raise errors.Unavailable(f"no platform runs in {self.root}", hint="start one with `fairlead up`")
        return run

    def own_key(self) -> str:
        """The key of the platform's own requests, for a gateway that asks for keys. Made when it is first needed."""
        try:
            return self._key.read_text(encoding="utf-8")
        except FileNotFoundError:
            pass
        # Complete under its own name first: two processes may ask at the same moment.
        with tempfile.NamedTemporaryFile("w", dir=self.root, encoding="utf-8") as draft:
            draft.write(secrets.token_urlsafe(32))
            draft.flush()
            with suppress(FileExistsError):
                os.link(draft.name, self._key)
        return self._key.read_text(encoding="utf-8")

    def note_supervised(self) -> None:
        """Note that the supervisor watches its processes now."""
        self._supervised.touch()

    def supervised_at(self) -> datetime | None:
        """When the supervisor last noted that it watches; None if none ever did."""
        try:
            return datetime.fromtimestamp(self._supervised.stat().st_mtime, UTC)
        except OSError:
            return None

    def is_fit(self, folder: str) -> bool:
        """Whether a model folder with this digest passed its checks."""
        return folder in self._known_fit()

    def note_fit(self, folder: str) -> None:
        """Note that a model folder with this digest passed its checks; with an empty digest nothing is noted."""
        if folder:
            known = [one for one in self._known_fit() if one != folder]
            _replace(self._fit, json.dumps([*known, folder][-MAX_FIT:]))

    def _known_fit(self) -> list[str]:
        try:
            found = json.loads(self._fit.read_text())
        except (OSError, ValueError):
            return []
        return [str(one) for one in found] if isinstance(found, list) else []

    def schemas(self, folder: str) -> Schemas | None:
        """The schemas of a model folder's rows and answers, by its digest; None if they were not noted."""
        return self._known_schemas().get(folder)

    def note_schemas(self, folder: str, schemas: Schemas) -> None:
        """Note the schemas of a model folder with this digest; with an empty digest nothing is noted."""
        if folder:
            known = {name: one for name, one in self._known_schemas().items() if name != folder} | {folder: schemas}
            _replace(self._schemas, json.dumps(dict([*known.items()][-MAX_SCHEMAS:])))

    def _known_schemas(self) -> dict[str, Schemas]:
        try:
            found = json.loads(self._schemas.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_run(self, run: RunningPlatform) -> None:
        """Write the facts about the running platform."""
        _replace(self._run, run.model_dump_json(by_alias=True, indent=2))

    def write_children(self, children: Mapping[str, Known]) -> None:
        """Write the child processes, so that they can be found after the supervisor was killed."""
        _replace(self._children, json.dumps({name: astuple(one) for name, one in children.items()}, indent=2))

    def write_targets(self, targets: Sequence[Mapping[str, object]]) -> None:
        """Write the scrape targets for Prometheus (`file_sd_configs`)."""
        _replace(self._targets, json.dumps(targets, indent=2))

    def orphans(self) -> dict[str, Known]:
        """The children of an ended supervisor that are still alive, by name. Reused pids are excluded."""
        try:
            written = json.loads(self._children.read_text())
            known = {str(name): Known(*facts) for name, facts in written.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return {name: one for name, one in known.items() if one.is_alive}


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically: a reader never sees a partial file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    os.rename(name, path)
