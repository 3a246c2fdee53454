"""Writes small, real model folders for tests, with the defects that a test asks for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DOUBLER = """
from pathlib import Path
from pydantic import BaseModel, Field
import fairlead

class Number(BaseModel):
    value: float = Field(ge=-100, le=100, description="any unit")

class Doubled(BaseModel):
    value: float

class Doubler(fairlead.Model[Number, Doubled]):
    def load(self, artifact: Path) -> None:
        self.factor = float(artifact.read_text())

    def predict(self, rows: list[Number]) -> list[Doubled]:
        return [Doubled(value=self.factor * row.value) for row in rows]
"""
ARTIFACT = b"2"
GOLDEN = ({"input": {"value": 1.5}, "expected": {"value": 3.0}}, {"input": {"value": -2}, "expected": {"value": -4.0}})


def make(
    folder: Path,
    *,
    code: str = DOUBLER,
    artifact: bytes | None = ARTIFACT,
    golden: Sequence[Mapping[str, Any]] = GOLDEN,
    without: Sequence[str] = (),
    **fields: Any,
) -> Path:
    """Write a model folder. Without arguments it passes `fairlead check`.

    `fields` are added to the manifest; the fields in `without` are left out of it.
    """
    folder.mkdir(parents=True)
    manifest: dict[str, Any] = {"name": "doubler", "version": "1.0.0", "format": "python", "entry": "model:Doubler"}
    (folder / "model.py").write_text(code)
    if artifact is not None:
        (folder / "artifact.bin").write_bytes(artifact)
        manifest["artifact"] = {"path": "artifact.bin", "sha256": hashlib.sha256(artifact).hexdigest()}
    if golden:
        (folder / "golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in golden))
        manifest["golden"] = "golden.jsonl"
    manifest |= fields
    chosen = {name: value for name, value in manifest.items() if name not in without}
    (folder / "fairlead.yaml").write_text(yaml.safe_dump(chosen))
    return folder
