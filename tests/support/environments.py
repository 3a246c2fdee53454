"""The environments of `requirements/NAME.txt` for tests of libraries that the development environment lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def folder(name: str) -> Path:
    """The folder of an environment. The first call on a machine installs it."""
    command = [str(ROOT / "ci/environment"), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def python(name: str) -> Path:
    """The Python of an environment."""
    return folder(name) / "bin" / "python"


@cache
def packages(name: str) -> Path:
    """The folder with the packages of an environment."""
    return next(folder(name).glob("lib/python*/site-packages"))


def add(folder: Path) -> None:
    """Make the packages importable here, after those of the development environment."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def variables(*folders: Path) -> dict[str, str]:
    """The variables with which another Python sees the packages."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {"PYTHONPATH": os.pathsep.join([*paths, *map(str, folders)])}
