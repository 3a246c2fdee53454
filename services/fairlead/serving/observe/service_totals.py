"""What a service has counted for the gates that judge by it: read when it is asked for, and never counted twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from fairlead.contracts.profile import MISSING, NumberFeature, Profile
from fairlead.contracts.service_totals import Totals
from fairlead.serving.observe.drift import Drift
from fairlead.serving.observe.feedback import Feedback
from fairlead.serving.observe.metrics import Metrics

MOST_BINS = 7
"""How many bins a number has here, besides that of the rows without one: the gate has no more places."""


def totals_of(
    metrics: Metrics, feedback: Feedback | None, drift: Drift, profile: Profile | None, *, knows_cpu: bool
) -> Callable[[], Totals]:
    """What reads the totals. `knows_cpu`: the model runs in the processes of the service."""
    number = next((one for one in profile.answers if isinstance(one, NumberFeature)), None) if profile else None
    # A model that answers classes is compared by them; the number beside a class is how sure it is.
    is_number = number is not None and profile is not None and len(profile.answers) == 1
    names = _named(number) if number is not None and is_number else []

    def read() -> Totals:
        rows, cpu_s = metrics.used()
        labels, wrong = feedback.right_and_wrong() if feedback else (None, 0)
        errors = feedback.errors_above() if feedback else ()
        return Totals(
            labels=labels,
            wrong=wrong,
            errors=errors,
            rows=rows,
            cpu_s=cpu_s if knows_cpu else None,
            bins=_counted(names, drift.answer_counts() if names else ()),
        )

    return read


def _named(feature: NumberFeature) -> list[str]:
    """For each bin of the profile, the name of the one it is a part of. Equal edges make equal names."""
    ends = ["", *(f"{edge:.6g}" for edge in feature.edges), ""]
    spans = list(pairwise(ends))  # below all edges, between them, above all
    groups = min(MOST_BINS, len(spans))
    names: list[str] = []
    for group in range(groups):
        first, last = (len(spans) * place // groups for place in (group, group + 1))
        names += [_span(spans[first][0], spans[last - 1][1])] * (last - first)
    return [*names, MISSING]


def _span(start: str, end: str) -> str:
    if not start:
        return f"below {end}"
    return f"{start} to {end}" if end else f"from {start}"


def _counted(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    found = dict.fromkeys(names, 0)
    for name, count in zip(names, counts, strict=True):
        found[name] += count
    return found
