"""A comparison as it is stored in a window, so that another process continues it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fairlead.rollout.analysis import comparison
from fairlead.rollout.analysis.comparison import Comparison, Prior

FIELDS = ("harm", "safe", "candidate", "stable", "spread", "windows")
"""The fields of a comparison that are stored."""

State = Mapping[str, tuple[float, ...]]


def load(stored: State, shape: tuple[int, ...], prior: Prior) -> Comparison:
    """The comparison to continue from. A field that an older release did not store starts afresh."""
    fresh = comparison.fresh(shape, prior)
    fields = {name: np.array(stored[name]).reshape(*shape, -1) for name in FIELDS if name in stored}
    return Comparison(**{name: fields.get(name, getattr(fresh, name)) for name in FIELDS}, prior=prior)


def dump(state: Comparison) -> dict[str, tuple[float, ...]]:
    """The fields as flat numbers."""
    return {name: tuple(map(float, getattr(state, name).ravel())) for name in FIELDS}
