"""Model folders that `fairlead serve` takes, and that fail on command while they are served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

_MODEL = Path(__file__).parent / "model"


def make(root: Path, name: str, version: str) -> Path:
    """`root/name/version`, a complete model folder."""
    folder = root / name / version
    shutil.copytree(_MODEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = yaml.safe_load((folder / "fairlead.yaml").read_text())
    (folder / "fairlead.yaml").write_text(yaml.safe_dump({**manifest, "name": name, "version": version}))
    return folder


def behave(folder: Path, *, fail: float = 0, delay_ms: float = 0, hang: bool = False) -> None:
    """From its next call on. The default is: well."""
    control = folder.parent / f"{folder.name}.faults.json"
    draft = control.with_suffix(".new")
    draft.write_text(json.dumps({"fail": fail, "delay_ms": delay_ms, "hang": hang}))
    draft.rename(control)
