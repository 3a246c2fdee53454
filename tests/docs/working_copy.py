"""Where a page's commands run: a copy of the repository with its own state folder and its own ports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.processes import free_ports

# The ports that pages name, and that somebody's own platform may hold while the tests run.
_PUBLISHED = ("8080", "8081")


class WorkingCopy:
    """A folder that looks like a fresh clone that has been set up: `make`, `fairlead` and `ls` work in it.

    Files are copies, so a command may change them; the installed packages are those of the repository's .venv.
    A page's 8080 and 8081 become free ports in commands and in platform.yaml, and 8080 and 8081 again in output.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self._ports = dict(zip(_PUBLISHED, map(str, free_ports(len(_PUBLISHED))), strict=True))
        _copy_sources(root, folder)
        _link_venv(root, folder)
        if (root / "build").is_dir():
            shutil.copytree(root / "build", folder / "build")
        platform = folder / "platform.yaml"
        if platform.exists():
            platform.write_text(self.to_here(platform.read_text()))

    def to_here(self, text: str) -> str:
        """A command as it must read here."""
        for published, here in self._ports.items():
            text = re.sub(rf"(?<!\d){published}(?!\d)", here, text)
        return text

    def to_page(self, text: str) -> str:
        """Output as the page shows it."""
        for published, here in self._ports.items():
            text = re.sub(rf"(?<!\d){here}(?!\d)", published, text)
        return text.replace(f"{self.folder}/", "")

    def environment(self) -> Mapping[str, str]:
        """What commands see: .venv first on the path, no settings of the person who runs the tests."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FAIRLEAD_", "PYTEST_", "VIRTUAL_ENV", "MAKE", "MFLAGS")) and name != "PYTHONPATH"
        }
        path = f"{self.folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


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
        if source.is_file():  # a file deleted, and not yet committed, is listed too
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _link_venv(root: Path, folder: Path) -> None:
    """The packages of the repository's .venv, with stamps that say "set up": ci/setup must not install into it."""
    (folder / ".venv").mkdir()
    for entry in (root / ".venv").iterdir():
        if not entry.name.startswith(".fairlead-"):
            (folder / ".venv" / entry.name).symlink_to(entry)
    for stamp in ("local", "dev"):
        wanted = f"cat requirements/setup.txt requirements/{stamp}.txt pyproject.toml | cksum > .venv/.fairlead-{stamp}"
        subprocess.run(["bash", "-c", wanted], cwd=folder, check=False, stderr=subprocess.DEVNULL)
