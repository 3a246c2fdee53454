"""The text at /metrics/drift of an instance with a given profile and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fairlead.contracts.profile import Profile
from fairlead.serving.observe.drift_text import DriftText


def a_text(profile: Profile | None, live: Mapping[str, Sequence[int]], requests: int | None = None) -> str:
    """`live` has the rows in each bin of each feature; of slices nothing is counted. None as the requests: the rows."""
    if profile is None:
        nothing = np.zeros(0, dtype=np.int64)
        return DriftText("iris", "1.0.0", None).render(nothing, nothing, rows=0, skipped=0, failed=0).decode()
    counts = [count for one in profile.every for count in live.get(one.name, [0] * len(one.bins))]
    counts += [0] * (len(counts) * len(profile.slices))
    rows = max((sum(one) for one in live.values()), default=0)
    asked = [rows if requests is None else requests, *[0] * len(profile.slices)]
    text = DriftText("iris", "1.0.0", profile)
    return text.render(np.array(counts), np.array(asked), rows=rows, skipped=0, failed=0).decode()
