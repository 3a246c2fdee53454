"""The copy of the repository in which a page's commands run, with its own state folder and ports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.processes import free_ports

# The ports that pages name. The developer's own platform may use them while the tests run.
_PUBLISHED = ("8080", "8081")


class WorkingCopy:
    """A folder like a fresh clone after set-up: `make`, `fairlead` and `ls` work in it.

    Files are copies, so commands may change them. The installed packages are those of the repository's .venv. The
    ports 8080 and 8081 become free ports in commands and in platform.yaml, and 8080 and 8081 again in output.
    """

    def __init__(self, root: Path, folder: Path, packages: Sequence[Path] = ()) -> None:
        """`packages` are folders with further packages, which the page tells its reader to install."""
        self.folder = folder
        self._packages = packages
        self._ports = dict(zip(_PUBLISHED, map(str, free_ports(len(_PUBLISHED))), strict=True))
        _copy_sources(root, folder)
        _link_venv(root, folder)
        if (root / "build").is_dir():
            shutil.copytree(root / "build", folder / "build")
        platform = folder / "platform.yaml"
        if platform.exists():
            platform.write_text(self.to_here(platform.read_text()))

    def to_here(self, text: str) -> str:
        """A command of the page, with the ports of this copy."""
        for published, here in self._ports.items():
            text = re.sub(rf"(?<!\d){published}(?!\d)", here, text)
        return text

    def to_page(self, text: str) -> str:
        """Output of a command, with the ports and paths of the page."""
        for published, here in self._ports.items():
            text = re.sub(rf"(?<!\d){here}(?!\d)", published, text)
        return text.replace(f"{self.folder}/", "")

    def environment(self) -> Mapping[str, str]:
        """The environment of commands: .venv first on the PATH, without settings of the caller (FAIRLEAD_*, ...)."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FAIRLEAD_", "PYTEST_", "VIRTUAL_ENV", "MAKE", "MFLAGS")) and name != "PYTHONPATH"
        }
        path = f"{self.folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        if self._packages:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, self._packages))
        return {**environment, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def _copy_sources(root: Path, folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = root / name, folder / name
        if source.is_file():  # git also lists files whose deletion is not committed
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _link_venv(root: Path, folder: Path) -> None:
    """Link the repository's .venv, with stamps that mark it as complete, so that ci/setup does not install into it."""
    (folder / ".venv").mkdir()
    for entry in (root / ".venv").iterdir():
        if not entry.name.startswith(".fairlead-"):
            (folder / ".venv" / entry.name).symlink_to(entry)
    for stamp in ("local", "dev"):
        wanted = f"cat requirements/setup.txt requirements/{stamp}.txt pyproject.toml | cksum > .venv/.fairlead-{stamp}"
        subprocess.run(["bash", "-c", wanted], cwd=folder, check=False, stderr=subprocess.DEVNULL)
