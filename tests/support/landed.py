"""The state that users had before this tree, from which the tests of an upgrade start.

`chart(name)` is one of its packaged charts, `k8s.tgz` its fleet of example models, `OBJECTS` what its control plane
stored in the middle of a rollout; all are written by `ci/landed_charts`. Its images are built from the repository's
history, where that is here.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "charts" / "landed"
OBJECTS = FOLDER / "objects.json"
WRITTEN = Path(__file__).parents[2] / "build" / "landed" / "objects.json"
"""Where the test of an upgrade leaves the objects for the next `OBJECTS`."""
_REPOSITORY = Path(__file__).parents[2]


def chart(name: str) -> Path:
    """The package of one of its charts: `crds`, `platform` or `model`."""
    [found] = FOLDER.glob(f"fairlead-{name}-*.tgz")
    return found


def unpack(folder: Path) -> tuple[Path, Path]:
    """Unpack its charts and its fleet of models. Returns the folder `charts` and the folder of the script `fleet`."""
    charts = folder / "charts"
    for name in ("crds", "platform", "model"):
        (charts / name).mkdir(parents=True)
        _untar(chart(name), charts / name, "--strip-components=1")
    _untar(FOLDER / "k8s.tgz", folder)
    return charts, folder / "k8s" / "fleet"


def _untar(archive: Path, folder: Path, *options: str) -> None:
    subprocess.run(["tar", "-xzf", archive, "-C", folder, *options], check=True)


def commit() -> str:
    """The commit from which the charts were packed."""
    return (FOLDER / "commit").read_text().split()[0]


def build_image(source: str) -> tuple[str, str] | None:
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
