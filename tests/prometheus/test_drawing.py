"""The pictures of dashboards: units as Grafana writes them, its transformations, and faults that can be seen."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from monitoring.boards import dashboards
from monitoring.panels import to_json
from monitoring.settings import DEFAULT
from support.dashboards.answers import Answered, Asked, Series, faults
from support.dashboards.board import draw
from support.dashboards.cells import table
from support.dashboards.looks import colour_of, defaults
from support.dashboards.units import is_known, ticks, written

BOARDS = dashboards(DEFAULT)
DOCUMENTS = {one.uid: to_json(one, BOARDS) for one in BOARDS}


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.051, "s", None, "51 ms"),
        (90, "s", None, "1.5 mins"),
        (0.125, "percentunit", None, "12.5%"),
        (1536, "bytes", None, "1.5 KiB"),
        (20_000, "reqps", None, "20 K req/s"),
        (0.3, "currencyUSD", 4, "$0.3000"),
        (0, "short", None, "0"),
    ],
)
def test_a_number_is_written_in_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals) == text


def test_the_numbers_of_an_axis_are_round_in_their_unit() -> None:
    assert ticks(0, 1, 5, "percentunit") == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert [written(one, "bytes") for one in ticks(0, 90 * 2**20, 5, "bytes")] == [
        "0 B",
        "20 MiB",
        "40 MiB",
        "60 MiB",
        "80 MiB",
    ]


@pytest.mark.parametrize("uid", DOCUMENTS)
def test_every_unit_of_a_dashboard_is_one_of_grafanas(uid: str) -> None:
    panels = [one for one in DOCUMENTS[uid]["panels"] if one["type"] != "row"]
    columns = {each["matcher"]["options"] for one in panels for each in one["fieldConfig"]["overrides"]}
    units = {defaults(one, column)["unit"] for one in panels for column in ("", *columns)}
    assert [one for one in units if not is_known(one)] == []


def _panel(uid: str, title: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in DOCUMENTS[uid]["panels"] if one["title"] == title and "targets" in one)
    return found


def _series(value: float, name: str = "", **labels: str) -> Series:
    return Series(name, labels, ((0.0, value), (30.0, value)))


def test_the_queries_of_a_table_become_one_row_for_each_model_also_if_one_has_another_label() -> None:
    one = {"namespace": "default", "model": "iris"}
    found = {
        "A": (_series(20.0, **one),),
        "B": (_series(0.01, __name__="model:fairlead_errors:ratio_rate5m", **one),),
        "C": (_series(0.03, **one),),
        "D": (_series(2.0, **one),),
    }
    assert table(Answered(_panel("fairlead-fleet", "Models"), found)) == [
        {**one, "requests": 20.0, "failed": 0.01, "p99": 0.03, "ready instances": 2.0}
    ]


def test_the_bins_of_a_chart_are_in_their_order() -> None:
    found = tuple(_series(0.1, bin=place, shown="1.0.0 now") for place in ("01", "lo", "00", "hi"))
    rows = table(Answered(_panel("fairlead-drift", "Now and in the reference"), {"A": found}))
    assert [row["bin\\shown"] for row in rows] == ["00", "01", "hi", "lo"]


def test_a_value_has_the_colour_of_the_last_limit_that_it_has_reached() -> None:
    settings = defaults(_panel("fairlead-drift", "PSI, 1h"))
    colours = [colour_of(value, settings, "none") for value in (0.0, 0.1, 0.15, 0.2, 3.0)]
    assert len(set(colours)) == 3
    assert colours[1] == colours[2]
    assert colours[3] == colours[4]


def test_a_lost_label_and_two_lines_with_one_name_are_faults() -> None:
    panel = _panel("fairlead-rollout", "Requests")
    lost = Answered(panel, {"A": (_series(1, "iris ", model="iris"),)})
    twice = Answered(panel, {"A": tuple(_series(1, "iris 1.0.0", model="iris", version="1.0.0") for _ in range(2))})
    right = Answered(panel, {"A": (_series(1, "iris 1.0.0", model="iris", version="1.0.0"),)})
    assert faults(lost) == ["Requests: no label version"]
    assert faults(twice) == ["Requests: two lines are called 'iris 1.0.0'"]
    assert faults(right) == []


@pytest.mark.parametrize("uid", DOCUMENTS)
def test_a_dashboard_without_any_answer_is_drawn_with_all_its_titles(uid: str) -> None:
    panels = [one for one in DOCUMENTS[uid]["panels"] if one["type"] != "row"]
    choices = dict.fromkeys(("namespace", "model", "version", "feature"), ".*")
    asked = Asked(DOCUMENTS[uid], choices, tuple(Answered(one, {"A": ()}) for one in panels), (), 60)
    words = [one.text for one in ElementTree.fromstring(draw(asked, "nothing <yet>")).iter() if one.text]
    assert words.count("No data") == len(panels)
    assert "nothing <yet>" in words
    assert {one["title"] for one in panels} <= set(words)
