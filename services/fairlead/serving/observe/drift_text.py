"""The metrics of drift in Prometheus' text format.

What does not change, the reference and the labels, is written once.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts import telemetry
from fairlead.contracts.base import digest
from fairlead.contracts.profile import Profile, to_text
from fairlead.contracts.quality import ClassQuality, Quality, cells
from fairlead.profile.bins import Counts
from fairlead.serving.observe.exposition import Exposition, head


class DriftText:
    """The text of one process's counts."""

    def __init__(self, model: str, version: str, profile: Profile | None) -> None:
        self._written = written = Exposition(model, version)
        self._has_profile = profile is not None
        features = profile.every if profile else ()
        info = (digest(to_text(profile)), profile.edges_digest, "given") if profile else ("", "", "none")
        slices = ("", *(one.name for one in profile.slices)) if profile else ()
        places = [(one.name, name, part) for part in slices for one in features for name in one.bins]
        self._head = written.family(telemetry.MODEL_PROFILE_INFO, [(info, 1)])
        self._slices = [(part,) for part in slices]
        self._values_head = head(telemetry.MODEL_DRIFT_VALUES)
        self._values = [f"{written.series(telemetry.MODEL_DRIFT_VALUES, place)} " for place in places]
        parts = (profile.rows, *(one.rows for one in profile.slices)) if profile else ()
        rows = [((one.name, part), count) for part, count in zip(slices, parts, strict=True) for one in features]
        counts = [count for one in features for count in one.counts]
        counts += [count for one in profile.slices for found in one.counts for count in found] if profile else []
        self._reference = "".join(
            [
                written.family(telemetry.MODEL_DRIFT_REFERENCE_VALUES, zip(places, counts, strict=True)),
                written.family(telemetry.MODEL_DRIFT_REFERENCE_ROWS, rows),
                written.family(telemetry.MODEL_DRIFT_CRITICAL, [((one.name,), one.critical) for one in features]),
                self._quality(profile.quality if profile else None),
            ]
        )
        quality = profile.quality if profile else None
        self._cells = list(cells(quality.classes)) if isinstance(quality, ClassQuality) else []

    def _quality(self, quality: Quality | None) -> str:
        """That of held-out rows."""
        if quality is None:
            return ""
        if isinstance(quality, ClassQuality):
            found = zip(cells(quality.classes), quality.outcomes, strict=True)
            return self._written.family(telemetry.MODEL_REFERENCE_OUTCOMES, found)
        sums = (
            (telemetry.MODEL_REFERENCE_NUMBERS, quality.rows),
            (telemetry.MODEL_REFERENCE_ABSOLUTE_ERRORS, quality.absolute_errors),
            (telemetry.MODEL_REFERENCE_SQUARED_ERRORS, quality.squared_errors),
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
    ) -> bytes:
        """All families, from the counts of `SlicedCount` and the requests of all rows and of each slice.

        `rows` were counted, skipped, or have failed. `estimated` are the expected rows in each cell of the classes;
        empty if that is not known.
        """
        if not self._has_profile:
            return self._head.encode()
        family = self._written.family
        parts = [
            self._head,
            family(telemetry.MODEL_DRIFT_ROWS, [((), rows)]),
            family(telemetry.MODEL_DRIFT_REQUESTS, zip(self._slices, requests.tolist(), strict=True)),
            family(telemetry.MODEL_DRIFT_SKIPPED, [((), skipped)]),
            family(telemetry.MODEL_DRIFT_FAILED, [((), failed)]),
        ]
        parts.append(self._values_head)
        parts += map("%s%d\n".__mod__, zip(self._values, counts.tolist(), strict=True))
        parts.append(self._reference)
        if estimated:
            samples = zip(self._cells, estimated, strict=True)
            parts.append(family(telemetry.MODEL_ESTIMATED_OUTCOMES, samples))
        return "".join(parts).encode()
