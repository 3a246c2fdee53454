"""The state that users had before this tree, from which the tests of an upgrade start.

`chart(name)` is one of its packaged charts, `k8s.tgz` its fleet of example models, `OBJECTS` what its control plane
stores in the middle of a rollout; `ci/landed_charts` writes all of them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "charts" / "landed"
OBJECTS = FOLDER / "objects.json"


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
