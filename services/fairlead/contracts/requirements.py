"""`requirements.txt` of a model folder: the libraries that the model needs beside those of the service.

The image of a version has them. On one machine the models run in the environment of `fairlead up`, where somebody must
install them; this module tells which are missing there.
"""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

FILE = "requirements.txt"
_LIBRARY = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^]]*\])?\s*(?P<version>$|[(<>=!~@].*)")
_PIN = re.compile(r"===?\s*(?P<version>\d+(?:\.\d+)*)")


def unmet(folder: Path) -> list[str]:
    """What the folder's requirements.txt asks for and this environment does not have, each as a sentence.

    Libraries are looked up by name, and pinned ones (`==`) by version. Lines with a marker (`;`), a range or an option
    are for the installer to judge. A folder without the file asks for nothing. Raises OSError if it cannot be read.
    """
    file = folder / FILE
    return list(_unmet(file.read_text(encoding="utf-8", errors="replace"))) if file.is_file() else []


def install_command(folder: Path) -> str:
    """The command that installs what the folder asks for into the environment of this process."""
    return shlex.join([sys.executable, "-m", "pip", "install", "-r", str(folder / FILE)])


def _unmet(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        asked = re.split(r"(?:^|\s)(?:#|--)", line)[0].strip()  # a comment, or the hashes
        library = None if ";" in asked else _LIBRARY.fullmatch(asked)
        if library is None:
            continue
        pin = _PIN.fullmatch(library["version"])
        try:
            here = importlib.metadata.version(library["name"])
        except importlib.metadata.PackageNotFoundError:
            yield f"{FILE} asks for {asked}, which is not installed"
        else:
            if pin and _PIN.fullmatch(f"=={here}") and _numbers(here) != _numbers(pin["version"]):
                yield f"{FILE} asks for {asked}, but {here} is installed"


def _numbers(version: str) -> list[int]:
    """1.2 and 1.2.0 are the same version."""
    return [int(number) for number in re.sub(r"(\.0+)+$", "", version).split(".")]
