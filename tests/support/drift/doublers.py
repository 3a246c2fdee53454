"""The model of `support.faults.folders` with a reference profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from fairlead.contracts.profile import NAME, Profile, to_text
from fairlead.contracts.quality import NumberQuality
from fairlead.profile import bins
from support.drift.requests import KINDS, MEAN, SHARES, SPREAD

ROWS = 5000
SEED = 20261130


def measure(folder: Path) -> Path:
    """Give a version a field `kind` and a profile. Returns the folder."""
    code, manifest = folder / "model.py", folder / "fairlead.yaml"
    code.write_text(
        code.read_text().replace("class Number(BaseModel):\n", 'class Number(BaseModel):\n    kind: str = "a"\n')
    )
    known = yaml.safe_load(manifest.read_text())
    (folder / NAME).write_text(to_text(_profile(known["name"], known["version"])))
    manifest.write_text(yaml.safe_dump({**known, "profile": NAME}))
    return folder


def _profile(model: str, version: str) -> Profile:
    random = np.random.default_rng(SEED)
    value, kind = random.normal(MEAN, SPREAD, ROWS), random.choice(KINDS, ROWS, p=SHARES)
    value_edges, answer_edges = bins.number_edges(value), bins.number_edges(2 * value)
    return Profile(
        model=model,
        version=version,
        rows=ROWS,
        features=(
            bins.number_feature("value", "value", value_edges, value),
            bins.category_feature("kind", "kind", kind.tolist()),
        ),
        answers=(bins.number_feature("prediction", "score", answer_edges, 2 * value),),
        quality=NumberQuality(rows=ROWS, absolute_errors=ROWS * 0.8, squared_errors=ROWS * 1.0),
    )
