"""The model of `support.faults.folders` with a reference profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from fairlead.contracts.profile import NAME, Profile, to_text
from fairlead.contracts.quality import NumberQuality
from fairlead.contracts.slices import Slice, declared
from fairlead.profile import bins
from fairlead.profile.slicing import SlicedCount
from fairlead.profile.vectors import vector_feature
from support.drift.requests import KINDS, MEAN, SHARES, SIZE, SPREAD, embedded

FIELDS = f"""
from typing import Annotated
from pydantic import Field

class Number(BaseModel):
    kind: str = "a"
    text: Annotated[list[float], Field(min_length={SIZE}, max_length={SIZE})] = [0.0] * {SIZE}
"""
ROWS = 5000
SEED = 20261130
PART = declared(f"{KINDS[1]}s: kind={KINDS[1]}")


def measure(folder: Path) -> Path:
    """Give a version a field `kind` and a profile. Returns the folder."""
    code, manifest = folder / "model.py", folder / "fairlead.yaml"
    code.write_text(code.read_text().replace("class Number(BaseModel):\n", FIELDS))
    known = yaml.safe_load(manifest.read_text())
    (folder / NAME).write_text(to_text(_profile(known["name"], known["version"])))
    manifest.write_text(yaml.safe_dump({**known, "profile": NAME}))
    return folder


def _profile(model: str, version: str) -> Profile:
    random = np.random.default_rng(SEED)
    value, kind = random.normal(MEAN, SPREAD, ROWS), random.choice(KINDS, ROWS, p=SHARES)
    value_edges, answer_edges = bins.number_edges(value), bins.number_edges(2 * value)
    features = (
        bins.number_feature("value", "value", value_edges, value),
        bins.category_feature("kind", "kind", kind.tolist()),
    )
    prediction = bins.number_feature("prediction", "score", answer_edges, 2 * value)
    rows = [{"value": one, "kind": other} for one, other in zip(value.tolist(), kind.tolist(), strict=True)]
    count = SlicedCount(features, [prediction], [PART])
    (mine,) = members = count.members(rows)
    counts = count(rows, [{"score": 2 * row["value"]} for row in rows], members)[count.bins :]
    of_each = [one.tolist() for one in count.of_each(counts)]
    part = Slice(**PART.model_dump(), rows=int(mine.sum()), counts=of_each)
    text = vector_feature("text", "text", embedded(random, ROWS))
    assert text is not None
    return Profile(
        model=model,
        version=version,
        rows=ROWS,
        features=features,
        answers=(prediction,),
        slices=(part,),
        vectors=(text,),
        quality=NumberQuality(rows=ROWS, absolute_errors=ROWS * 0.8, squared_errors=ROWS * 1.0),
    )
