"""Asks every query of every panel of the six dashboards in four situations of a real platform, and draws a picture of
each dashboard from the answers. A run at full size keeps the pictures beside the results."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from monitoring.boards import dashboards
from monitoring.panels import to_json
from support import proof
from support.dashboards.answers import Asked, ask, faults
from support.dashboards.board import draw
from support.dashboards.looks import defaults
from support.dashboards.units import is_known
from support.monitoring.empty_panels import EMPTY
from support.monitoring.situations import (
    DRIFTED,
    FAILING,
    GROWING,
    ROLLOUT,
    SETTINGS,
    Plan,
    Played,
    choices,
    played,
)

TITLE = "dashboards: every panel of all six in four situations of a real platform, and a picture of each"
PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(calm_s=15, good_s=25, after_s=20, step_s=10, rate=12, more=25),
    "reduced": Plan(calm_s=4, good_s=6, after_s=4, step_s=9, rate=12, more=25),
}
ALL = ".*"
MAX_BYTES = 150_000
SITUATIONS = {
    ROLLOUT: "a rollout",
    FAILING: "a failing candidate",
    DRIFTED: "a drifted model",
    GROWING: "more requests, then more instances",
}


@dataclass(frozen=True)
class Picture:
    """Which situation a dashboard is drawn in, and what happens there."""

    model: str
    caption: str


PICTURES = {
    "fleet": Picture(ALL, "a release goes well, one is rolled back, a model drifts, one gets eight times the requests"),
    "model": Picture(FAILING, "a candidate begins to fail, and stable answers in its place"),
    "drift": Picture(DRIFTED, "higher incomes, and labels that follow them less"),
    "rollout": Picture(FAILING, "a candidate begins to fail and is rolled back"),
    "capacity": Picture(GROWING, "eight times the requests, then three instances"),
    "platform": Picture(ROLLOUT, "three releases at the same time"),
}
Document = dict[str, Any]


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Play the situations once, and look at all dashboards as a reader of each of their models."""
    found = proof.Findings()
    every = dashboards(SETTINGS)
    documents = {one.uid: to_json(one, every) for one in every}
    with played(folder, PLANS[size]) as platform:
        asked = {(uid, model): _ask(platform, one, model) for model in SITUATIONS for uid, one in documents.items()}
        for model, what in SITUATIONS.items():
            _look(what, model, [asked[uid, model] for uid in documents], found)
        _units([*documents.values()], found)
        _planted(platform, documents, found)
        asked["fairlead-fleet", ALL] = _ask(platform, documents["fairlead-fleet"], ALL)
    _draw(asked, proof.RESULTS if size == "full" else folder, found)
    return found


def _ask(platform: Played, document: Document, model: str) -> Asked:
    return ask(platform.prometheus, document, choices(model), platform.seconds, platform.ended)


def _look(what: str, model: str, asked: list[Asked], found: proof.Findings) -> None:
    """Data where it must be, and complete legends."""
    panels = [(_board(board), one) for board in asked for one in board.panels]
    empty = [f"{board}: {one.title}" for board, one in panels if not one.series]
    unexplained = [one for one in empty if one not in EMPTY[model]]
    wrong = [f"{board}: {fault}" for board, one in panels for fault in faults(one)]
    shares = [f"{board}: {one.title}" for board, one in panels if _above_one(one.panel, one.series)]
    found.claim(f"{what}: empty panels without a reason", "none", _said(unexplained), not unexplained)
    found.claim(f"{what}: labels that a legend lacks, lines with one name", "none", _said(wrong), not wrong)
    found.claim(f"{what}: shares of a whole above 100 %", "none", _said(shares), not shares)
    idle = sorted(EMPTY[model].keys() - set(empty))
    found.claim(f"{what}: reasons for panels that are not empty", "none", _said(idle), not idle)
    found.note(f"{what}: panels with data, and empty ones with a reason", f"{len(panels) - len(empty)}, {len(empty)}")
    found.numbers[what] = {"empty": {one: EMPTY[model].get(one, "") for one in empty}}


def _above_one(panel: Any, series: Any) -> bool:
    settings = defaults(panel)
    whole = settings["unit"] == "percentunit" and settings.get("max") == 1
    return whole and any(value > 1.0001 for one in series for _, value in one.values)


def _units(documents: list[Document], found: proof.Findings) -> None:
    units = {
        (each["title"], defaults(each, column)["unit"])
        for document in documents
        for each in document["panels"]
        if each["type"] != "row"
        for column in ("", *(one["matcher"]["options"] for one in each["fieldConfig"]["overrides"]))
    }
    unknown = [f"{title}: {unit}" for title, unit in sorted(units) if not is_known(unit)]
    found.claim("units that Grafana does not have", "none", _said(unknown), not unknown)


def _planted(platform: Played, documents: Mapping[str, Document], found: proof.Findings) -> None:
    """Each fault is planted into the first panel with lines of each dashboard."""
    for what, change, caught in _PLANTED:
        missed = [uid for uid, one in documents.items() if not caught(platform, _with(one, change))]
        found.claim(f"planted into each dashboard: {what}", "found", _said(missed, "found"), not missed)


def _with(document: Document, change: Callable[[Document], None]) -> Document:
    changed = copy.deepcopy(document)
    target = next(
        one
        for panel in changed["panels"]
        if panel["type"] in ("timeseries", "state-timeline")
        for one in panel["targets"]
        if "{{" in one["legendFormat"]
    )
    change(target)
    changed["panels"] = [one for one in changed["panels"] if target in one.get("targets", ())]
    return changed


def _misspelt(target: Document) -> None:
    name = next(one for one in ("fairlead_", "envoy_") if one in target["expr"])
    target["expr"] = target["expr"].replace(name, f"{name}x_")


def _lost_label(target: Document) -> None:
    target["expr"] = f"sum({target['expr']})"


def _wrong_syntax(target: Document) -> None:
    target["expr"] += ")"


def _is_empty(platform: Played, document: Document) -> bool:
    return not any(one.found[ref] for one in _ask(platform, document, ROLLOUT).panels for ref in list(one.found)[:1])


def _lacks_labels(platform: Played, document: Document) -> bool:
    return any("no label" in one for panel in _ask(platform, document, ROLLOUT).panels for one in faults(panel))


def _is_refused(platform: Played, document: Document) -> bool:
    try:
        _ask(platform, document, ROLLOUT)
    except ValueError:
        return True
    return False


_PLANTED = (
    ("a misspelt metric", _misspelt, _is_empty),
    ("a lost label", _lost_label, _lacks_labels),
    ("wrong syntax", _wrong_syntax, _is_refused),
)


def _draw(asked: Mapping[tuple[str, str], Asked], to: Path, found: proof.Findings) -> None:
    sizes = {}
    for name, one in PICTURES.items():
        text = draw(asked[f"fairlead-{name}", one.model], one.caption)
        ElementTree.fromstring(text)
        (to / f"dashboard-{name}.svg").write_text(text)
        sizes[name] = len(text.encode())
    found.claim(
        "pictures, and the bytes of the largest",
        f"at most {MAX_BYTES:,}",
        f"{len(sizes)}: {max(sizes.values()):,}",
        max(sizes.values()) <= MAX_BYTES,
    )


def _board(asked: Asked) -> str:
    return str(asked.document["uid"]).removeprefix("fairlead-")


def _said(found: list[str], nothing: str = "none") -> str:
    return "; ".join(found) or nothing


if __name__ == "__main__":
    proof.run("dashboards", TITLE, prove)
