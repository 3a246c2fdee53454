"""The types of a frame's columns come from the row type alone, never from the values."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
from typing import Annotated, Any, Literal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from fairlead.serving.formats.frames import frame, integers
from fairlead.serving.formats.strict import strict


class Heating(enum.Enum):
    GAS = "gas"
    HEAT_PUMP = "heat pump"


class Part(BaseModel):
    width: float


class Counted(BaseModel):
    always: int
    perhaps: int | None = None
    bounded: Annotated[int, Field(le=2**60)] | None = None


UTC, INDIA = datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))


class Home(BaseModel):
    area: float
    plot: Annotated[float, Field(gt=0)] | None = None
    rooms: int = Field(default=1, ge=1)
    built: Annotated[int, Field(ge=1000)] | None = None
    either: int | float = 0
    price: decimal.Decimal = decimal.Decimal(0)
    balcony: bool = False
    lift: bool | None = None
    city: Literal["Bonn", "Ulm"] = "Ulm"
    floor: Literal[0, 1, 2] | None = None
    heating: Heating | None = None
    text: str = ""
    note: str | None = None
    seen: datetime.datetime = datetime.datetime(2025, 1, 2, 3, 4, 5)
    sold: datetime.date | None = None
    parts: list[Part] = []
    size: list[float] = []


TYPES = {
    "area": "float64",
    "plot": "float64",
    "rooms": "int64",
    "built": "float64",
    "either": "float64",
    "price": "float64",
    "balcony": "bool",
    "lift": "boolean",
    "city": "category",
    "floor": "category",
    "heating": "category",
    "text": "object",
    "note": "object",
    "seen": "datetime64[us]",
    "sold": "datetime64[us]",
    "parts": "object",
    "size": "object",
}
FULL: dict[str, Any] = {
    "plot": 2.5,
    "built": 1990,
    "lift": True,
    "floor": 2,
    "heating": Heating.HEAT_PUMP,
    "note": "quiet",
    "sold": datetime.date(2024, 2, 29),
    "parts": [Part(width=1)],
    "size": [1.0, 2.0],
}


def types(table: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in table.dtypes.items()}


@pytest.mark.parametrize(
    "rows", [[{}], [FULL], [{}, FULL], [{}] * 3], ids=["all missing", "all there", "both", "several"]
)
def test_the_types_are_those_of_the_fields_whatever_is_missing(rows: list[dict[str, Any]]) -> None:
    table = frame(Home, [Home(area=1, **row) for row in rows])
    assert types(table) == TYPES
    assert len(table) == len(rows)


@given(st.lists(st.fixed_dictionaries({name: st.sampled_from([None, FULL[name]]) for name in ("plot", "lift")})))
def test_a_row_alone_is_the_same_as_in_a_batch(rows: list[dict[str, Any]]) -> None:
    homes = [Home(area=1, **row) for row in rows]
    together = frame(Home, homes)
    for place, home in enumerate(homes):
        expected = together.iloc[[place]].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame(Home, [home]), expected)


def test_the_values_are_those_of_the_rows_and_missing_ones_are_pandas_missing_values() -> None:
    table = frame(Home, [Home(area=1, **FULL), Home(area=2)])
    assert [table[name][0] for name in ("built", "lift", "floor", "heating", "note")] == [
        1990,
        True,
        2,
        "heat pump",
        "quiet",
    ]
    assert table["sold"][0] == pd.Timestamp("2024-02-29")
    assert table["size"][0] == [1.0, 2.0]
    assert table["parts"][0] == [Part(width=1)]
    missing = [name for name in table if pd.isna(table[name]).tolist() == [False, True]]
    assert missing == ["plot", "built", "lift", "floor", "heating", "note", "sold"]
    assert math.isnan(table["note"][1])


def test_a_category_has_every_value_of_its_type_also_those_that_no_row_has() -> None:
    table = frame(Home, [Home(area=1)])
    assert table["city"].cat.categories.tolist() == ["Bonn", "Ulm"]
    assert table["floor"].cat.categories.tolist() == [0, 1, 2]
    assert table["heating"].cat.categories.tolist() == ["gas", "heat pump"]


def test_times_are_in_utc_and_a_time_without_a_zone_is_taken_as_utc() -> None:
    noon = datetime.datetime(2025, 6, 1, 12, tzinfo=UTC)
    given_times = [noon, noon.astimezone(INDIA), noon.replace(tzinfo=None)]
    table = frame(Home, [Home(area=1, seen=seen) for seen in given_times])
    assert table["seen"].tolist() == [pd.Timestamp("2025-06-01 12:00")] * 3


def test_rows_may_be_objects_as_in_a_training_script() -> None:
    assert types(frame(Home, [{"area": 1, "sold": "2024-02-29"}])) == TYPES


def test_a_frame_without_rows_has_the_same_columns() -> None:
    assert types(frame(Home, [])) == TYPES


@pytest.mark.parametrize("day", [datetime.date(1, 1, 1), datetime.date(1066, 10, 14), datetime.date(9999, 12, 31)])
def test_every_date_stays_the_same_also_those_that_nanoseconds_do_not_reach(day: datetime.date) -> None:
    noon = datetime.datetime.combine(day, datetime.time(12, 30, 15, 999_999))
    table = frame(Home, [Home(area=1, sold=day, seen=noon)])
    assert table["sold"][0].to_pydatetime().date() == day
    assert table["seen"][0].to_pydatetime() == noon


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_that_its_column_does_not_have_is_refused_and_any_other_one_stays_the_same(value: int) -> None:
    row_type = strict(Counted, fields=integers(Counted))
    for name in ("always", "perhaps", "bounded"):
        try:
            row = row_type.model_validate_json(json.dumps({"always": 1, name: value}))
        except ValidationError:
            assert name != "always"
            assert abs(value) > 2**53
        else:
            assert int(frame(row_type, [row])[name][0]) == value
