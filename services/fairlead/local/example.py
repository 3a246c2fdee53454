"""Writes the example platform of `fairlead up --example`: its platform file, and its models, trained on this machine.

Pickles fit only the library versions that wrote them, so the package carries the training scripts and no models.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import fairlead
from fairlead import errors
from fairlead.local.apply import read_platform

FOLDER = Path("fairlead-example")
_PLATFORM = "platform.yaml"
_LIBRARIES = ("joblib", "sklearn")


def write(folder: Path, console: Console) -> Path:
    """Write the example into `folder`, unless it is there already, and return its platform file.

    The file is written last, so an example that was interrupted is trained again. Raises Unavailable if a library is
    missing or a training script fails, and Invalid if the folder cannot be written.
    """
    file = folder / _PLATFORM
    if file.exists():
        return file
    if missing := [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]:
        raise errors.Unavailable(
            f"the example is trained with scikit-learn, and {' and '.join(missing)} cannot be imported",
            hint="install Fairlead with its extras local, sklearn and docs: docs/install.md#on-one-machine",
        )
    models, platform = _sources()
    try:
        columns = (SpinnerColumn(finished_text="*"), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            for model in read_platform(platform).models:  # the other examples need more libraries
                task = progress.add_task(f"training {model}", total=1)
                source = folder / "models" / model
                shutil.copytree(
                    models / model, source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
                _train(source / "train.py", folder / "build" / "models")
                progress.update(task, completed=1)
        shutil.copyfile(platform, file)
    except OSError as error:
        raise errors.Invalid(
            f"the example cannot be written into {folder.absolute()}: {error.strerror}",
            hint="run in a folder that you own and that has space",
        ) from error
    console.print(f"the example is in {folder}: edit it, or delete the folder to get it anew", highlight=False)
    return file


def _sources() -> tuple[Path, Path]:
    """The models' folders and the platform file: inside an installed package, or in the clone around it."""
    package = Path(fairlead.__file__).parent
    installed = package / "examples"
    if installed.is_dir():
        return installed / "models", installed / _PLATFORM
    return package.parent / "models", package.parents[1] / _PLATFORM


def _train(script: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, script, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise errors.Unavailable(f"{script} failed: {why}", hint=f"run it to see all: {sys.executable} {script}")
