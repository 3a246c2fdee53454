"""What instances say that they have counted: read from the text at `/metrics/drift`, and added up.

The text is of another process, maybe of another release: everything in it is checked, and nothing is believed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fairlead.contracts import drift_telemetry as told
from fairlead.contracts.profile import ANSWERS, MAX_BINS, MAX_FEATURES
from fairlead.contracts.slices import MAX_SLICES
from fairlead.contracts.telemetry import MODEL_IDENTITY
from fairlead.contracts.vectors import DIRECTIONS, MAX_VECTORS
from fairlead.profile.bins import Floats

_LINE = re.compile(r'(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\} (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_READ = {
    metric.name: tuple(name for name in metric.labels if name not in MODEL_IDENTITY)
    for metric in (*told.MODEL_DRIFT, *told.MODEL_VECTORS)
} | {told.MODEL_PROFILE_INFO.name: ("profile", "edges", "kind")}
"""The labels that are read of each metric. A later release may tell others too."""
MOST = 2.0**53
"""A larger number was not counted."""


@dataclass(frozen=True, slots=True)
class Binned:
    """One feature, of all rows or of a slice: the rows in each bin, live and in the reference."""

    feature: str
    slice: str
    """Empty for all rows."""
    bins: tuple[str, ...]
    live: Floats
    reference: Floats
    critical: float
    """What chi-squared exceeds in one of 1,000 samples without drift."""
    starts: Mapping[str, float]
    """The first number of each bin of a number; empty if the service is of a release that does not tell."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector: the sum of the waves in each direction, and the reference's mean."""

    feature: str
    rows: float
    sums: Floats
    reference_rows: float
    means: Floats
    critical: float


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of one version. `profile` is the digest of its profile; empty if it has none: then all is empty."""

    profile: str = ""
    edges: str = ""
    """The digest of its bins."""
    rows: int = 0
    skipped: int = 0
    failed: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    """Of all rows, by the empty name, and of each slice."""
    features: tuple[Binned, ...] = ()
    vectors: tuple[Vectors, ...] = ()


Series = dict[str, dict[tuple[str, ...], float]]


def read(text: str, *, of_slices: bool = True) -> Counted:
    """The counts in the text of one instance; without those `of_slices`, which are most of a long text, if told so.

    Raises ValueError, which says what is wrong with it.
    """
    found = _series(text if of_slices else "\n".join(line for line in text.split("\n") if _is_whole(line)))
    infos = found[told.MODEL_PROFILE_INFO.name]
    if len(infos) != 1:
        raise ValueError("it does not say whether it has a profile")
    ((profile, edges, kind),) = infos
    if kind != "given":
        return Counted()
    _limit(found)
    requests = {labels[0]: int(value) for labels, value in found[told.MODEL_DRIFT_REQUESTS.name].items()}
    return Counted(
        profile=profile,
        edges=edges,
        rows=_sum(found, told.MODEL_DRIFT_ROWS.name),
        skipped=_sum(found, told.MODEL_DRIFT_SKIPPED.name),
        failed=_sum(found, told.MODEL_DRIFT_FAILED.name),
        requests=requests,
        features=tuple(_features(found)),
        vectors=tuple(_vectors(found)),
    )


def added(counts: Sequence[Counted]) -> Counted:
    """The sum of the counts of several instances of one version; at least one. Raises ValueError if they differ."""
    first = counts[0]
    for other in counts[1:]:
        if _shape(other) != _shape(first):
            raise ValueError("its instances count in the bins of different profiles")
    if len(counts) == 1:
        return first
    return replace(
        first,
        rows=sum(one.rows for one in counts),
        skipped=sum(one.skipped for one in counts),
        failed=sum(one.failed for one in counts),
        requests={name: sum(one.requests[name] for one in counts) for name in first.requests},
        features=tuple(
            replace(one, live=np.sum([other.features[at].live for other in counts], axis=0))
            for at, one in enumerate(first.features)
        ),
        vectors=tuple(
            replace(
                one,
                rows=sum(other.vectors[at].rows for other in counts),
                sums=np.sum([other.vectors[at].sums for other in counts], axis=0),
            )
            for at, one in enumerate(first.vectors)
        ),
    )


def _shape(one: Counted) -> object:
    places = [(feature.slice, feature.feature, feature.bins) for feature in one.features]
    vectors = [(vector.feature, len(vector.sums)) for vector in one.vectors]
    return one.profile, places, set(one.requests), vectors


def _is_whole(line: str) -> bool:
    # no name can look like this label, because quotes in names are escaped
    return ',slice="' not in line or ',slice=""' in line


def _series(text: str) -> Series:
    """The value of each series of drift, by the name of the metric and its labels after model and version, sorted as
    they are declared."""
    found: Series = defaultdict(dict)
    for line in text.split("\n"):  # splitlines() would end lines inside of names too
        parsed = _LINE.fullmatch(line)
        if parsed is None or parsed[1] not in _READ:
            continue  # a comment, or a metric that is not of drift
        metric, value = parsed[1], float(parsed[3])
        if not -MOST <= value <= MOST and metric != told.MODEL_DRIFT_BIN_START.name:
            raise ValueError(f"{metric} is {parsed[3][:20]}")
        labels = {name: _ESCAPED.sub(_unescaped, label) for name, label in _LABEL.findall(parsed[2])}
        if missing := [name for name in _READ[metric] if name not in labels]:
            raise ValueError(f"{metric} has no label {missing[0]}")
        series = tuple(labels[name] for name in _READ[metric])
        if series in found[metric]:
            raise ValueError(f"{metric} has a series twice")
        found[metric][series] = value
    return found


def _limit(found: Series) -> None:
    """Raises ValueError if there is more than a profile can have: everything that is shown must be computed."""
    places = found[told.MODEL_DRIFT_REFERENCE_VALUES.name]
    numbers = (
        ("bins", len(places), MAX_BINS),
        ("features", len({feature for feature, _, _ in places}), MAX_FEATURES + len(ANSWERS)),
        ("slices", len(found[told.MODEL_DRIFT_REQUESTS.name]), 1 + MAX_SLICES),
        ("vectors", len(found[told.MODEL_DRIFT_VECTORS.name]), MAX_VECTORS),
        ("directions", len(found[told.MODEL_DRIFT_REFERENCE_DIRECTIONS.name]), MAX_VECTORS * DIRECTIONS),
    )
    for what, number, most in numbers:
        if number > most:
            raise ValueError(f"it has {number} {what}, more than the {most} that a profile can have")


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def _sum(found: Series, name: str) -> int:
    return int(sum(found[name].values()))


def _features(found: Series) -> Iterator[Binned]:
    live, reference = found[told.MODEL_DRIFT_VALUES.name], found[told.MODEL_DRIFT_REFERENCE_VALUES.name]
    if live.keys() != reference.keys():
        raise ValueError("its counts have other bins than its reference")
    starts: dict[str, dict[str, float]] = defaultdict(dict)
    for (feature, name), start in found[told.MODEL_DRIFT_BIN_START.name].items():
        starts[feature][name] = start
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for feature, name, part in reference:
        places[part, feature].append(name)
    for (part, feature), bins in places.items():
        if (critical := found[told.MODEL_DRIFT_CRITICAL.name].get((feature,))) is None:
            raise ValueError(f"it has no critical value of {feature}")
        if ("",) not in found[told.MODEL_DRIFT_REQUESTS.name] or (part,) not in found[told.MODEL_DRIFT_REQUESTS.name]:
            raise ValueError("it does not say how many requests were counted")
        of_bins = [(feature, name, part) for name in bins]
        counts = np.array([live[place] for place in of_bins])
        of_reference = np.array([reference[place] for place in of_bins])
        if min(counts.min(), of_reference.min()) < 0 or of_reference.sum() <= 0 or critical <= 0:
            raise ValueError(f"the counts of {feature} are no counts")
        yield Binned(
            feature,
            part,
            tuple(bins),
            counts,
            of_reference,
            critical,
            starts[feature],
        )


def _vectors(found: Series) -> Iterator[Vectors]:
    sums, means = found[told.MODEL_DRIFT_DIRECTIONS.name], found[told.MODEL_DRIFT_REFERENCE_DIRECTIONS.name]
    if sums.keys() != means.keys():
        raise ValueError("its vectors have other directions than its reference")
    for (name,), rows in found[told.MODEL_DRIFT_VECTORS.name].items():
        of_one = [place for place in means if place[0] == name]
        if not of_one:
            raise ValueError(f"it has no directions of {name}")
        key = (name,)
        try:
            reference_rows = found[told.MODEL_DRIFT_REFERENCE_VECTORS.name][key]
            critical = found[told.MODEL_DRIFT_VECTOR_CRITICAL.name][key]
        except KeyError:
            raise ValueError(f"it has no reference of {name}") from None
        if min(rows, reference_rows - 1, critical) < 0:
            raise ValueError(f"the counts of {name} are no counts")
        waves, reference = (np.array([of[place] for place in of_one]) for of in (sums, means))
        yield Vectors(name, rows, waves, reference_rows, reference, critical)
