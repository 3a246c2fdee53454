"""The metrics of drift in Prometheus' text format.

What does not change, the reference and the labels, is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.contracts import drift_telemetry
from fairlead.contracts.base import digest
from fairlead.contracts.profile import Feature, NumberFeature, Profile, to_text
from fairlead.contracts.quality import ClassQuality, Quality, cells
from fairlead.contracts.vectors import DIRECTIONS, VectorFeature
from fairlead.profile.bins import Counts
from fairlead.serving.observe.exposition import Exposition, head

_NAMES = tuple(f"{number:03}" for number in range(DIRECTIONS))


class DriftText:
    """The text of one process's counts."""

    def __init__(self, model: str, version: str, profile: Profile | None) -> None:
        self._written = written = Exposition(model, version)
        self._has_profile = profile is not None
        features = profile.every if profile else ()
        info = ("", "", "none", "none")
        if profile is not None:
            source = "recording" if profile.recorded else "data"
            info = (digest(to_text(profile)), profile.edges_digest, "given", source)
        slices = ("", *(one.name for one in profile.slices)) if profile else ()
        places = [(one.name, name, part) for part in slices for one in features for name in one.bins]
        self._head = written.family(drift_telemetry.MODEL_PROFILE_INFO, [(info, 1)])
        self._slices = [(part,) for part in slices]
        self._values_head = head(drift_telemetry.MODEL_DRIFT_VALUES)
        self._values = [f"{written.series(drift_telemetry.MODEL_DRIFT_VALUES, place)} " for place in places]
        parts = (profile.rows, *(one.rows for one in profile.slices)) if profile else ()
        rows = [((one.name, part), count) for part, count in zip(slices, parts, strict=True) for one in features]
        counts = [count for one in features for count in one.counts]
        counts += [count for one in profile.slices for found in one.counts for count in found] if profile else []
        self._reference = "".join(
            [
                written.family(drift_telemetry.MODEL_DRIFT_REFERENCE_VALUES, zip(places, counts, strict=True)),
                written.family(drift_telemetry.MODEL_DRIFT_REFERENCE_ROWS, rows),
                written.family(drift_telemetry.MODEL_DRIFT_CRITICAL, [((one.name,), one.critical) for one in features]),
                written.family(drift_telemetry.MODEL_DRIFT_BIN_START, _starts(features)),
                self._quality(profile.quality if profile else None),
                self._vectors(profile.vectors if profile else ()),
            ]
        )
        names = [one.name for one in profile.vectors] if profile else []
        self._turned = [(name, place * (DIRECTIONS + 1)) for place, name in enumerate(names)]
        quality = profile.quality if profile else None
        self._cells = list(cells(quality.classes)) if isinstance(quality, ClassQuality) else []

    def _vectors(self, vectors: Sequence[VectorFeature]) -> str:
        """The reference's."""
        if not vectors:
            return ""
        means = [((one.name, name), mean) for one in vectors for name, mean in zip(_NAMES, one.means, strict=True)]
        samples = (
            (drift_telemetry.MODEL_DRIFT_REFERENCE_DIRECTIONS, means),
            (drift_telemetry.MODEL_DRIFT_REFERENCE_VECTORS, [((one.name,), one.rows) for one in vectors]),
            (drift_telemetry.MODEL_DRIFT_VECTOR_CRITICAL, [((one.name,), one.critical) for one in vectors]),
        )
        return "".join(self._written.family(metric, found) for metric, found in samples)

    def _quality(self, quality: Quality | None) -> str:
        """That of held-out rows."""
        if quality is None:
            return ""
        if isinstance(quality, ClassQuality):
            found = zip(cells(quality.classes), quality.outcomes, strict=True)
            return self._written.family(drift_telemetry.MODEL_REFERENCE_OUTCOMES, found)
        sums = (
            (drift_telemetry.MODEL_REFERENCE_NUMBERS, quality.rows),
            (drift_telemetry.MODEL_REFERENCE_ABSOLUTE_ERRORS, quality.absolute_errors),
            (drift_telemetry.MODEL_REFERENCE_SQUARED_ERRORS, quality.squared_errors),
        )
        return "".join(self._written.family(metric, [((), value)]) for metric, value in sums)

    def render(
        self,
        counts: Counts,
        requests: Counts,
        *,
        rows: int,
        skipped: int,
        failed: int,
        estimated: Sequence[float] = (),
        turned: Sequence[float] = (),
    ) -> bytes:
        """All families, from the counts of `SlicedCount` and the requests of all rows and of each slice.

        `rows` were counted, skipped, or have failed. `estimated` are the expected rows in each cell of the classes;
        empty if that is not known. `turned` are the sums of `VectorSums`.
        """
        if not self._has_profile:
            return self._head.encode()
        family = self._written.family
        parts = [
            self._head,
            family(drift_telemetry.MODEL_DRIFT_ROWS, [((), rows)]),
            family(drift_telemetry.MODEL_DRIFT_REQUESTS, zip(self._slices, requests.tolist(), strict=True)),
            family(drift_telemetry.MODEL_DRIFT_SKIPPED, [((), skipped)]),
            family(drift_telemetry.MODEL_DRIFT_FAILED, [((), failed)]),
        ]
        parts.append(self._values_head)
        parts += map("%s%d\n".__mod__, zip(self._values, counts.tolist(), strict=True))
        parts.append(self._reference)
        if estimated:
            samples = zip(self._cells, estimated, strict=True)
            parts.append(family(drift_telemetry.MODEL_ESTIMATED_OUTCOMES, samples))
        if turned:
            lines = [(name, turned[at : at + DIRECTIONS + 1]) for name, at in self._turned]
            sums = [((name, way), sum_) for name, line in lines for way, sum_ in zip(_NAMES, line, strict=False)]
            parts.append(family(drift_telemetry.MODEL_DRIFT_DIRECTIONS, sums))
            parts.append(family(drift_telemetry.MODEL_DRIFT_VECTORS, [((name,), line[-1]) for name, line in lines]))
        return "".join(parts).encode()


def _starts(features: Sequence[Feature]) -> Iterator[tuple[tuple[str, str], float]]:
    """The first number of each bin of numbers: of all but `lo`, which has no start."""
    for one in features:
        if isinstance(one, NumberFeature):
            yield from (((one.name, name), start) for name, start in zip(one.bins[1:-1], one.edges, strict=True))
