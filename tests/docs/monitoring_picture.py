"""Draws the picture of docs/monitoring.md: `python -m docs.monitoring_picture` takes two minutes.

It runs a platform under load, a release that goes bad, and a Prometheus that scrapes it, and draws what the queries of
the rollout's dashboard find. It is a real run, so no two pictures have the same bytes.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

from fairlead.contracts.revision import Cause  # noqa: E402
from monitoring.boards import dashboards  # noqa: E402
from monitoring.panels import Panel  # noqa: E402
from monitoring.rule_files import recording_rules  # noqa: E402
from monitoring.settings import DEFAULT, Burn  # noqa: E402
from support.faults import folders  # noqa: E402
from support.load.open_loop import OpenLoop  # noqa: E402
from support.platform import doublers, running_platform, users  # noqa: E402
from support.processes import wait_until  # noqa: E402
from support.prometheus import Prometheus, from_files, running_prometheus  # noqa: E402
from support.proof import RESULTS  # noqa: E402

PICTURE = RESULTS / "monitoring.svg"
SETTINGS = replace(DEFAULT, window="10s", burns=(Burn(14.4, "20s", "10s", "page"),))
CHOICES = {"namespace": "default", "model": "doubler", "version": ".*", "__rate_interval": "10s"}
BOARD = next(one for one in dashboards(SETTINGS) if one.uid == "fairlead-rollout")
SHOWN = (
    "Weight",
    "Evidence of harm",
    "Requests",
    "Failures of the version itself",
    "Failed requests",
    "Latency p99",
)
INK, GREY = "#222222", "#8a8a8a"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a8a8a", "#56b4e9", "#e69f00", "#000000")
Line = tuple[str, list[float], list[float]]
"""A name, times in seconds, and values."""
QUIET_S, GOOD_S, AFTER_S = 15.0, 25.0, 20.0


def play(folder: Path) -> tuple[list[tuple[Panel, list[Line]]], float]:
    """The lines of every shown panel, as (name, times in s, values), and how long the run took."""
    strategy = {"steps": [{"weight": 2000, "minDuration": "10m"}], "minRequests": 0}
    models = doublers(folder, "1.0.0", "1.1.0", strategy=strategy)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(folder, models))
        targets = from_files(folder / ".fairlead" / "prometheus-targets.json")
        rules = [recording_rules(SETTINGS)]
        prometheus = stack.enter_context(running_prometheus(folder / "prometheus", [targets], rules=rules))
        began = time.time()
        stack.enter_context(OpenLoop(platform.url, rate=40, seconds=170, request=users()))
        time.sleep(QUIET_S)
        platform.command("release", "doubler", "1.1.0")
        platform.wait_for("doubler", "the candidate has its share", weight=2000)
        time.sleep(GOOD_S)
        folders.behave(folder / "models" / "doubler" / "1.1.0", fail=0.2)
        wait_until(lambda: platform.head("doubler").cause is Cause.ROLLED_BACK, "it is rolled back")
        print(platform.head("doubler").reason)
        time.sleep(AFTER_S)
        took = time.time() - began
        panels = [panel for row in BOARD.rows for panel in row.panels if panel.title in SHOWN]
        return [(panel, lines_of(prometheus, panel, took, CHOICES)) for panel in panels], took


def lines_of(prometheus: Prometheus, panel: Panel, seconds: float, choices: Mapping[str, str]) -> list[Line]:
    """What the queries of a panel find, named as its legend says. `choices` are those of a reader."""
    now, found = time.time(), []
    for query in panel.queries:
        expression = re.sub(r"\$(\w+)", lambda name: choices[name[1]], query.expression)
        for one in prometheus.query_range(expression, seconds):
            name = re.sub(r"{{(\w+)}}", lambda label, one=one: one["metric"][label[1]], query.legend)  # type: ignore[misc]
            times = [at - now + seconds for at, _ in one["values"]]
            found.append((name.removeprefix("doubler "), times, [float(value) for _, value in one["values"]]))
    return sorted(found)


def draw() -> None:
    """Run it, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        panels, took = play(Path(folder))
    set_style()
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 5.6), layout="constrained")
    for (panel, lines), at in zip(panels, axes.flat, strict=True):
        draw_panel(at, panel, lines, took)
    figure.suptitle("Fairlead / Rollout: a candidate begins to fail", x=0.01, ha="left", weight="bold")
    figure.savefig(PICTURE, metadata={"Date": None, "Creator": None})


def set_style() -> None:
    """How pictures of dashboards look. Text stays text in the SVG."""
    matplotlib.rc("svg", fonttype="none", hashsalt="fairlead")
    matplotlib.rc("text", color=INK)
    matplotlib.rc("font", size=8)


def draw_panel(axes: Axes, panel: Panel, lines: list[Line], took: float) -> None:
    """One panel with lines over time."""
    for colour, (name, times, values) in zip(COLOURS, lines, strict=False):
        axes.plot(times, values, color=colour, linewidth=1.4, label=name)
    axes.set_title(panel.title, loc="left", fontsize=9, weight="bold")
    axes.set_xlim(0, took)
    axes.set_xlabel("seconds", color=GREY)
    if panel.unit == "percentunit":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif panel.unit == "s":
        axes.yaxis.set_major_formatter(lambda value, _: f"{1000 * value:g} ms")
    elif panel.unit == "reqps":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}/s")
    if "min" not in panel.defaults:  # as on the dashboard, unless the panel says otherwise
        axes.set_ylim(0, max(0.05 if panel.unit == "percentunit" else 0, axes.get_ylim()[1]))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="best")


if __name__ == "__main__":
    draw()
