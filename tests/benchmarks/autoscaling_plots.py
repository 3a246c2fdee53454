"""Draws half an hour of load and what the autoscaler did, from the JSON result of the last full run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from support.autoscaling.loop import MOST, PER_INSTANCE  # noqa: E402
from support.autoscaling.schedules import HALF_HOUR, SCHEDULES, Schedule  # noqa: E402
from support.proof import RESULTS  # noqa: E402

INK, NEEDED, WANTED = "#222222", "#c9c9c9", "#0072b2"


def draw(results: Path = RESULTS) -> Path:
    """Write the picture to the folder of the results. Returns its path."""
    numbers = json.loads((results / "autoscaling.json").read_text())["numbers"]["schedules"]["keda"]
    picture = results / "autoscaling.svg"
    with matplotlib.rc_context():
        # Text stays text in the SVG, and the same numbers give the same bytes.
        matplotlib.rc("svg", fonttype="none", hashsalt="fairlead")
        matplotlib.rc("text", color=INK)
        figure, panels = pyplot.subplots(2, 2, figsize=(11, 5.4), sharex=True, sharey=True, layout="constrained")
        for axes, schedule in zip(panels.flat, SCHEDULES, strict=True):
            _schedule(axes, schedule, numbers[schedule.model])
        for axes in panels[:, 0]:
            axes.set_ylabel("instances")
        for axes in panels[-1]:
            axes.set_xlabel("minutes")
        panels[0, 0].legend(frameon=False, fontsize=10, loc="upper left")
        figure.savefig(picture, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return picture


def _schedule(axes: Axes, schedule: Schedule, numbers: dict[str, Any]) -> None:
    """The instances that the load needs as an area, and those that were wanted as a line, by minutes."""
    each = [schedule.needed(at, per_instance=PER_INSTANCE, most=MOST) for at in range(round(HALF_HOUR))]
    at = [0, *(one for one in range(1, len(each)) if each[one] != each[one - 1]), len(each) - 1]
    needed = [each[one] for one in at]
    axes.fill_between([one / 60 for one in at], needed, step="post", color=NEEDED, label="the load needs")
    times = [one[0] / 60 for one in numbers["changes"]]
    wanted = [one[1] for one in numbers["changes"]]
    axes.step([*times, HALF_HOUR / 60], [*wanted, wanted[-1]], where="post", color=WANTED, label="wanted")
    ratio = numbers["instance seconds"] / numbers["oracle seconds"]
    axes.set_title(f"{schedule.name}: {ratio:.2f} times the oracle", fontsize=11)
    axes.set(xlim=(0, HALF_HOUR / 60), ylim=(0, MOST + 1.5))
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    print(draw())
