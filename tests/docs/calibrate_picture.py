"""Draws the picture on docs/calibrate.md: a simulated service, measured with the code of `fairlead calibrate`."""

from __future__ import annotations

from pathlib import Path

from fairlead.calibration import curve_svg, knee
from fairlead.calibration.advice import Curve
from fairlead.calibration.result import Result
from fairlead.calibration.sweep import Sweep
from fairlead.contracts.manifest import Batching
from unit.calibration.simulated import SimulatedService

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "calibrate.svg"
CALL_S = 0.01
SECONDS = 60.0


def draw() -> str:
    """The picture: calls of 10 ms, for up to 16 rows, one row and 64 rows."""
    return curve_svg.draw(Result("a-model", "1.0.0", 1, 1, 1, 2, [_curve(rows) for rows in (16, 1, 64)]))


def _curve(rows: int) -> Curve:
    service = SimulatedService(CALL_S, rows)
    sweep = Sweep(knee.goal(None, CALL_S), CALL_S, SECONDS)
    list(sweep.run(service.measure, service.clock))
    return Curve(Batching(max_rows=rows), "invariant", CALL_S, sweep.goal_s, sweep.points, sweep.found)


if __name__ == "__main__":
    PICTURE.write_text(draw())
