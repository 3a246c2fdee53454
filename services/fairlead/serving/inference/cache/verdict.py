"""Whether a model may have a response cache: the manifest says that it is deterministic, and nothing denies it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead.contracts import golden
from fairlead.contracts.manifest import Manifest
from fairlead.serving.inference.batch import Compute
from fairlead.serving.inference.contract import Contract


@dataclass(frozen=True, slots=True)
class Cacheable:
    """Whether answers may be kept. `reason` is one word, `detail` explains it in a sentence."""

    allowed: bool
    reason: str
    detail: str


OFF = Cacheable(False, "off", "cache_bytes is 0")


def wanted(size: int, manifest: Manifest) -> Cacheable:
    """What the settings and the manifest say. `size` is that of the cache in bytes."""
    if not size:
        return OFF
    if not manifest.deterministic:
        return Cacheable(False, "manifest", "the manifest does not say `deterministic: true`")
    return Cacheable(True, "stated", "the manifest says so, and there are no golden rows that could show otherwise")


def shown(compute: Compute, terms: Contract, rows: Sequence[dict[str, Any]], manifest: Manifest) -> Cacheable:
    """What the answers say if these golden rows are asked twice, one at a time. Raises what the model raises."""
    bodies = [orjson.dumps(row) for row in rows]
    twice = [[terms.documents(compute(terms.decode_one(body)))[0] for body in bodies] for _ in range(2)]
    for number, (first, second) in enumerate(zip(*twice, strict=True), 1):
        if difference := golden.compare(first, second, *manifest.tolerance):
            detail = f"golden row {number} gets another answer when it is asked again: {difference}"
            return Cacheable(False, "differs", detail)
    return Cacheable(True, "repeats", "the golden rows get the same answers when they are asked again")
