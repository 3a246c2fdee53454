from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from fairlead import errors
from fairlead.serving.new import sample


def test_texts_of_digits_stay_texts(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("code,n\n00123,1\n")
    assert sample.read(file, {"code": ()})["code"].tolist() == ["00123"]
    assert sample.read(file)["code"].tolist() == [123]


@pytest.mark.parametrize(
    ("name", "text", "kind", "told"),
    [
        ("none.csv", None, errors.NotFound, "--data: there is no file"),
        ("empty.csv", "", errors.Invalid, "empty.csv is empty"),
        ("blank.csv", " \n\n", errors.Invalid, "blank.csv is empty"),
        ("rows.pkl", "\udc80\x04.", errors.Invalid, "is a pickle; a CSV or a Parquet file is read"),
        ("book.xlsx", "PK\x03\x04", errors.Invalid, "is a zip archive, such as a workbook of Excel; a CSV"),
        ("rows.json", '{"a": 1}', errors.Invalid, "is JSON; a CSV"),
        ("rows.jsonl", '{"a": 1}', errors.Invalid, "is JSON; a CSV"),
        ("wide.csv", "a\0,\0b\0", errors.Invalid, "is no text in UTF-8"),
        ("other.csv", 'a\n"b', errors.Invalid, "cannot be read as CSV"),
        ("longer.csv", "a,b\n1,2,3\n4,5,6\n", errors.Invalid, "cannot be read as CSV: Length of header"),
        ("binary.csv", "a\n\ud800", errors.Invalid, "cannot be read as CSV: 'utf-8' codec"),
    ],
)
def test_a_file_that_is_no_table_is_an_error_that_says_why(
    tmp_path: Path, name: str, text: str | None, kind: type[errors.FairleadError], told: str
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_bytes(text.encode(errors="surrogateescape" if "\udc80" in text else "surrogatepass"))
    with pytest.raises(kind, match=told):
        sample.read(file)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_than_commas_are_named(tmp_path: Path, separator: str, name: str) -> None:
    file = tmp_path / "s.csv"
    file.write_text(f"city{separator}area\nUlm{separator}20\n")
    frame = sample.read(file)
    for names, count in ((["city", "area"], 2), (None, 2), (None, None)):
        with pytest.raises(errors.Invalid, match=f"has one column, .*: {name} separate its values") as caught:
            sample.of(file, frame, names, count)
        assert "to_csv" in str(caught.value.hint)
    assert len(sample.of(file, frame, None, 1).frame.columns) == 1


def test_a_parquet_file_is_known_whatever_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows"
    file.write_bytes(b"PAR1 ...")
    monkeypatch.setattr(pd, "read_parquet", lambda path: pd.DataFrame({"read": [str(path)]}))
    assert sample.read(file)["read"].tolist() == [str(file)]


def test_parquet_without_the_library_that_reads_it_says_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.parquet"
    file.write_bytes(b"PAR1")
    for module in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.Unavailable, match="needs a library that is not installed"):
        sample.read(file)


def test_a_sample_without_the_columns_is_refused_with_their_names(tmp_path: Path) -> None:
    frame, file = pd.DataFrame({"a": [1], "b": [2]}), tmp_path / "s.csv"
    with pytest.raises(errors.Invalid, match="has no column c, d, which the estimator was fitted on; it has a, b"):
        sample.of(file, frame, ["a", "c", "d"], 3)
    with pytest.raises(errors.Invalid, match="has 2 columns, but the estimator was fitted on 3, without names"):
        sample.of(file, frame, None, 3)
    with pytest.raises(errors.Invalid, match="has no rows"):
        sample.of(file, frame[:0], None, 2)


def test_the_rows_come_from_the_whole_length_and_have_the_values_that_clients_send(tmp_path: Path) -> None:
    values = {"n": range(80), "x": [0.5, None] * 40, "t": ["a", None] * 40, "b": [True, None] * 40}
    found = sample.of(tmp_path / "s.csv", pd.DataFrame(values), ["n", "x", "t", "b"], None)
    kinds = {"n": "INT64", "x": "FP64", "t": "BYTES", "b": "BOOL"}
    rows = found.rows([{"name": name.upper(), "column": name, "datatype": kind} for name, kind in kinds.items()])
    assert [row["N"] for row in rows] == list(range(0, 80, 10))
    assert rows[0] == {"N": 0, "X": 0.5, "T": "a", "B": True}
    assert type(rows[0]["N"]) is int
    odd = sample.Sample("s.csv", found.frame[1:2]).rows([{"name": "x", "datatype": "FP64"}])
    assert odd == [{"x": None}]


def test_a_description_says_what_the_sample_shows() -> None:
    frame = pd.DataFrame({"n": [1.5, 3], "t": ["a", "a"], "none": [None, None]})
    found = sample.Sample("s.csv", frame)
    assert [found.description(name) for name in frame] == [
        "from 1.5 to 3 in s.csv",
        "1 different in s.csv",
        "always missing in s.csv",
    ]


def test_a_word_for_missing_is_a_value_of_a_column_that_is_known_to_have_it(tmp_path: Path) -> None:
    file = tmp_path / "countries.csv"
    file.write_text("country,town,size\nNA,NA,1\nDE,a,NA\n,b,3\nnull,None,4\n")
    frame = sample.read(file, {"country": ("DE", "NA"), "town": ()})
    assert [one if isinstance(one, str) else None for one in frame["country"]] == ["NA", "DE", None, None]
    assert [one if isinstance(one, str) else None for one in frame["town"]] == [None, "a", "b", None]
    assert frame["size"].isna().tolist() == [False, True, False, False]


def test_the_range_of_a_number_leaves_infinities_out() -> None:
    values = pd.DataFrame({"x": [1.0, float("inf"), -2.0], "y": [float("inf")] * 3})
    found = sample.Sample("rows.csv", values)
    assert found.description("x") == "from -2 to 1 in rows.csv"
    assert found.description("y") == "never finite in rows.csv"
