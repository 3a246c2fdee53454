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
        places = [(one.name, name) for one in features for name in one.bins]
        self._head = written.family(telemetry.MODEL_PROFILE_INFO, [(info, 1)])
        self._totals = (
            telemetry.MODEL_DRIFT_ROWS,
            telemetry.MODEL_DRIFT_REQUESTS,
            telemetry.MODEL_DRIFT_SKIPPED,
            telemetry.MODEL_DRIFT_FAILED,
        )
        self._values_head = head(telemetry.MODEL_DRIFT_VALUES)
        self._values = [f"{written.series(telemetry.MODEL_DRIFT_VALUES, place)} " for place in places]
        counts = [count for one in features for count in one.counts]
        self._reference = "".join(
            [
                written.family(telemetry.MODEL_DRIFT_REFERENCE_VALUES, zip(places, counts, strict=True)),
                written.family(
                    telemetry.MODEL_DRIFT_REFERENCE_ROWS, [((one.name,), sum(one.counts)) for one in features]
                ),
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

    def render(self, counts: Counts, *totals: int, estimated: Sequence[float] = ()) -> bytes:
        """All families. `totals`: rows and requests that were counted, rows skipped, rows that failed.

        `estimated` are the expected rows in each cell of the classes; empty if that is not known.
        """
        if not self._has_profile:
            return self._head.encode()
        parts = [self._head]
        parts += [
            self._written.family(metric, [((), total)]) for metric, total in zip(self._totals, totals, strict=True)
        ]
        parts.append(self._values_head)
        parts += map("%s%d\n".__mod__, zip(self._values, counts.tolist(), strict=True))
        parts.append(self._reference)
        if estimated:
            samples = zip(self._cells, estimated, strict=True)
            parts.append(self._written.family(telemetry.MODEL_ESTIMATED_OUTCOMES, samples))
        return "".join(parts).encode()
