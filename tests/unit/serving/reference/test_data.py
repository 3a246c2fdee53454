"""How the columns of a table become the rows that clients send."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas
import pytest

from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.new import sample
from fairlead.serving.reference.data import Photos, labels_of, rows_of
from support import folders
from support import image_models as images

CODE = """
import enum
from datetime import date
from typing import Annotated, Literal
from pydantic import BaseModel, Field
import fairlead

class Row(BaseModel):
    whole: int
    number: float | None = None
    size: float = Field(default=1.0, alias="a size")
    code: str
    level: Literal[1, 2]
    yes: bool
    day: date
    tags: list[str]

class Answer(BaseModel):
    value: float

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [Answer(value=row.whole) for row in rows]
"""
GRIDS = """
from datetime import date, datetime
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    x: int
    at: datetime
    day: date
    grid: list[list[float]]

class Answer(BaseModel):
    value: float

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [Answer(value=row.x) for row in rows]
"""
HEAD = "whole,number,a size,code,level,yes,day,tags,target\n"


def rows(path: Path, text: str, code: str = CODE, **fields: Any) -> list[dict[str, Any]]:
    file = path / "rows.csv"
    file.write_text(text)
    return list(rows_of(file, load_folder(folders.make(path / "m", code=code, artifact=None, golden=(), **fields))))


def test_values_are_those_that_clients_send(tmp_path: Path) -> None:
    found = rows(tmp_path, HEAD + '3,1.5,2,007,1,True,2024-01-02,"[""a""]",9\n')
    expected = {
        "whole": 3,
        "number": 1.5,
        "a size": 2.0,
        "code": "007",
        "level": 1,
        "yes": True,
        "day": "2024-01-02",
        "tags": ["a"],
    }
    assert found == [expected]
    assert [type(one) for one in found[0].values()] == [type(one) for one in expected.values()]


def test_what_is_missing_is_null_where_the_field_takes_it_and_left_out_elsewhere(tmp_path: Path) -> None:
    (_, found) = rows(tmp_path, HEAD + "3,1.5,2,007,1,True,2024-01-02,[],9\n4,,,a,2,False,2024-01-02,[],9\n")
    assert found["number"] is None
    assert "a size" not in found


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"has no column level, yes; it has whole, number") as caught:
        rows(tmp_path, "whole,number,a size,code,day,tags\n1,1,1,a,2024-01-02,[]\n")
    assert "under the names of the model's inputs" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x,1.5,2,007,1,True,2024-01-02,[],9", "column whole: 'x' is no number"),
        ("1,1.5,2,007,1,maybe,2024-01-02,[],9", "column yes: 'maybe' is no boolean"),
    ],
)
def test_a_column_with_other_values_is_named_with_the_first(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(errors.Invalid, match=why):
        rows(tmp_path, f"{HEAD}{line}\n")


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="has no rows"):
        rows(tmp_path, HEAD)


VECTOR = """
from typing import Annotated
from pydantic import BaseModel, Field
import fairlead

class Row(BaseModel):
    x: Annotated[list[float], Field(min_length=2, max_length=2)]

class Answer(BaseModel):
    value: float

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [Answer(value=sum(row.x)) for row in rows]
"""


def test_the_columns_of_a_table_are_the_numbers_of_the_one_list_that_a_row_has(tmp_path: Path) -> None:
    assert rows(tmp_path, "a,b\n1,2\n3,4\n", VECTOR) == [{"x": [1.0, 2.0]}, {"x": [3.0, 4.0]}]


def test_a_cell_that_is_nested_too_deeply_stays_a_text(tmp_path: Path) -> None:
    deep = "[" * 20_000 + "]" * 20_000
    (found,) = rows(tmp_path, HEAD + f'3,1.5,2,007,1,True,2024-01-02,"{deep}",9\n')
    assert found["tags"] == deep


def test_a_photo_is_read_when_its_row_is_asked_for_and_no_further_than_it_may_be_large(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    photos = Photos([tmp_path / "gone.png", file], "photo", 5)[1:]
    file.write_bytes(b"0123456789")
    assert list(photos) == [{"photo": "MDEyMzQ1"}]
    file.unlink()
    with pytest.raises(errors.Invalid, match=r"a.png cannot be read: No such file"):
        photos[0]


@pytest.mark.parametrize("value", ["photos/1.JPG", {"bytes": None, "path": "photos/1.JPG"}])
def test_the_path_of_an_image_is_no_image(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "read", lambda *_: pandas.DataFrame({"image": [value]}))
    with pytest.raises(errors.Invalid, match=r"column image: 'photos/1.JPG' is the path of a file") as caught:
        rows_of(Path("rows.csv"), cast(Any, images.served()))
    assert "the folder of the files" in (caught.value.hint or "")


def test_an_image_without_bytes_and_path_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "read", lambda *_: pandas.DataFrame({"image": [{"bytes": None, "path": None}]}))
    assert rows_of(Path("rows.csv"), cast(Any, images.served())) == [{}]


def labels(path: Path, text: str) -> list[Any]:
    file = path / "labels.csv"
    file.write_text("label,x\n" + text)
    return labels_of(file, "label", load_folder(folders.make(path / "m", code=CODE, artifact=None, golden=())))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("01067,1\n4109,1\n", ["01067", "4109"]),
        ("1067,1\n,1\n-4,1\n", [1067, None, -4]),
        ("1.5,1\n2,1\n", [1.5, 2.0]),
        ("True,1\nfalse,1\n", [True, False]),
        ("yes,1\nNA,1\nno,1\n", ["yes", None, "no"]),
    ],
)
def test_labels_are_numbers_if_all_are_written_as_numbers_are(tmp_path: Path, text: str, expected: list[Any]) -> None:
    found = labels(tmp_path, text)
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


def test_lists_of_lists_and_dates_of_a_table_are_those_of_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a Parquet file gives them: arrays of arrays, and times."""
    grid = np.array([np.array([1.0, 2.0]), np.array([3.0])], dtype=object)
    times = pandas.to_datetime(["2024-01-02"])
    frame = pandas.DataFrame({"x": [1], "at": times, "day": times, "grid": [grid]})
    monkeypatch.setattr(sample, "read", lambda *_: frame)
    (only,) = rows(tmp_path, "x\n", code=GRIDS)
    assert only == {"x": 1, "at": "2024-01-02T00:00:00", "day": "2024-01-02", "grid": [[1.0, 2.0], [3.0]]}
