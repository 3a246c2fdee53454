"""Writes model folders that `fairlead serve` can serve and that fail on command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

_MODEL = Path(__file__).parent / "model"


def make(root: Path, name: str, version: str) -> Path:
    """Write `root/name/version`, a complete model folder."""
    folder = root / name / version
    shutil.copytree(_MODEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = yaml.safe_load((folder / "fairlead.yaml").read_text())
    (folder / "fairlead.yaml").write_text(yaml.safe_dump({**manifest, "name": name, "version": version}))
    # Not "beside the folder": a platform serves a copy of it, somewhere else.
    (folder / "faults_file").write_text(str(_control(folder)))
    return folder


def _control(folder: Path) -> Path:
    return (folder.parent / f"{folder.name}.faults.json").absolute()


def rename_field(folder: Path, old: str, new: str) -> None:
    """Rename the input field of a version. It passes its own golden rows, but rejects the requests that users send."""
    code, golden = folder / "model.py", folder / "golden.jsonl"
    code.write_text(
        code.read_text().replace(f"{old}: float = Field", f"{new}: float = Field").replace(f"row.{old}", f"row.{new}")
    )
    golden.write_text(golden.read_text().replace(f'"input": {{"{old}"', f'"input": {{"{new}"'))


def behave(
    folder: Path,
    *,
    fail: float = 0,
    delay_ms: float = 0,
    slow_ms: float = 0,
    hang: bool = False,
    broken: bool = False,
) -> None:
    """Behave like this from the next call on; by default without faults.

    `slow_ms` is the median of a log-normal delay with sigma 0.6. `broken` counts from the next start of a process: its
    code cannot be imported.
    """
    control = _control(folder)
    draft = control.with_suffix(".new")
    faults = {"fail": fail, "delay_ms": delay_ms, "slow_ms": slow_ms, "hang": hang, "broken": broken}
    draft.write_text(json.dumps(faults))
    draft.rename(control)
