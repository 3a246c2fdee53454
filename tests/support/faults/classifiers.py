"""Writes model folders of a classifier whose classes are in the right order, or in a wrong one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

_MODEL = Path(__file__).parent / "classifier"
_ORDER = ("low", "middle", "high")


def make(root: Path, name: str, version: str, order: Sequence[str] = _ORDER) -> Path:
    """Write `root/name/version`. Its golden rows are its own predictions, so they pass with a wrong order too."""
    folder = root / name / version
    shutil.copytree(_MODEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = yaml.safe_load((folder / "fairlead.yaml").read_text())
    (folder / "fairlead.yaml").write_text(yaml.safe_dump({**manifest, "name": name, "version": version}))
    code = folder / "model.py"
    code.write_text(code.read_text().replace(f"LABELS = {_ORDER!r}".replace("'", '"'), f"LABELS = {tuple(order)!r}"))
    rows = [(-3.0, order[0]), (0.0, order[1]), (3.0, order[2])]
    (folder / "golden.jsonl").write_text("".join(json.dumps(_golden(value, label)) + "\n" for value, label in rows))
    return folder


def _golden(value: float, label: str) -> dict[str, object]:
    sure = 0.5 + 0.49 * min(1.0, abs(abs(value) - 1) / 2)
    probabilities = {each: round((1 - sure) / 2, 6) for each in _ORDER} | {label: sure}
    return {"input": {"value": value}, "expected": {"label": label, "probabilities": probabilities}}
