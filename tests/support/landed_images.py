"""Images of the landed state (support/landed.py), which the repository's history has the sources of."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from support.landed import FOLDER

_REPOSITORY = Path(__file__).parents[2]


def commit() -> str:
    """The commit from which the charts were packed."""
    return (FOLDER / "commit").read_text().split()[0]


def build(source: str) -> tuple[str, str] | None:
    """The full name and the archive of an image as that commit's sources build it, with the model folders of today.

    None where the repository's history does not have the commit, as in a shallow clone.
    """
    known = ["git", "-C", str(_REPOSITORY), "cat-file", "-e", f"{commit()}^{{commit}}"]
    if subprocess.run(known, capture_output=True, check=False).returncode != 0:
        return None
    with tempfile.TemporaryDirectory(prefix="landed-") as made:
        tree = Path(made)
        packed = subprocess.run(
            ["git", "-C", str(_REPOSITORY), "archive", commit()], stdout=subprocess.PIPE, check=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", made], input=packed, check=True)
        (tree / ".venv").symlink_to(_REPOSITORY / ".venv")
        model, _, version = source.partition(":")
        if version:
            folder = Path("build/models") / model / version
            shutil.copytree(_REPOSITORY / folder, tree / folder)
        done = subprocess.run([tree / "ci/images", source], stdout=subprocess.PIPE, text=True, check=True)
    name, archive = done.stdout.split()
    return name, archive
