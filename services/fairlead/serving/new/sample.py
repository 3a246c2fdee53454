"""A sample of the data that an estimator was trained on: a CSV or Parquet file."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fairlead import errors
from fairlead.serving.formats import base
from fairlead.serving.new.names import field_names

GOLDEN_ROWS = 8
LONGEST = 500
"""Letters of a description."""
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_OTHERS = {
    b"\x80": "a pickle",
    b"PK\x03\x04": "a zip archive, such as a workbook of Excel",
    b"\x93NUMPY": "an array of NumPy",
}
"""How other files begin that hold tables."""
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Sample:
    """The columns of the estimator, by their names, in its order; `file` is the name that descriptions have."""

    file: str
    frame: Any

    def rows(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Up to GOLDEN_ROWS rows from the whole length of the sample, as clients send them."""
        step = max(1, len(self.frame) // GOLDEN_ROWS)
        part = self.frame.iloc[::step][:GOLDEN_ROWS]
        named = [(one["name"], one["datatype"], part[one.get("column", one["name"])].tolist()) for one in inputs]
        return [
            {name: as_json(values[place], datatype) for name, datatype, values in named} for place in range(len(part))
        ]

    def description(self, column: str) -> str:
        """What the sample shows of a column: the range of a number, the number of different texts."""
        values = self.frame[column].dropna()
        if not len(values):
            return f"always missing in {self.file}"
        if values.dtype.kind in "iuf" and values.dtype.name != "category":
            finite = values[abs(values) < float("inf")]
            if not len(finite):
                return f"never finite in {self.file}"
            return f"from {finite.min():g} to {finite.max():g} in {self.file}"
        return f"{values.nunique()} different in {self.file}"


def as_json(value: Any, datatype: str) -> Any:
    """A value of a table as a client sends it, in the form of the datatype; None if it is missing.

    A text where a number should be stays one: no model takes such a row.
    """
    if value is None or type(value).__name__ == "NAType" or value != value:  # NA cannot be compared
        return None
    if datatype == "BYTES" or isinstance(value, str):
        return str(value)
    if datatype == "BOOL" or (datatype == "INT64" and float(value).is_integer()):
        return bool(value) if datatype == "BOOL" else int(value)
    return float(value)


def read(file: Path, texts: Mapping[str, Collection[Any]] = MappingProxyType({})) -> Any:
    """The file as a DataFrame. Columns of `texts` stay texts: a CSV file does not say that "00123" is one.

    In a CSV file words such as NA and None are missing values, unless the column is known to have them as values:
    `texts` has the known values of each column, if there are any.

    Raises NotFound or Invalid for a file that is none, and Unavailable without the libraries that read it.
    """
    pandas = base.library("pandas", extra="pandas", needed_for="--data")
    columnar = is_parquet(file)
    try:
        if columnar:
            return pandas.read_parquet(file)
        with warnings.catch_warnings():
            # Rows with more values than the header has names: pandas would drop values, or shift all columns by one.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(file, dtype=dict.fromkeys(texts, "str"), index_col=False)
            lost = [name for name, known in texts.items() if known and name in frame and frame[name].isna().any()]
            if lost:
                written = pandas.read_csv(file, usecols=lost, dtype="str", keep_default_na=False, index_col=False)
            for name in lost:
                frame[name] = frame[name].mask(written[name].isin([str(one) for one in texts[name]]), written[name])
            return frame
    except ImportError as cause:
        hint = "Install pyarrow, or write the sample as CSV."
        raise errors.Unavailable(f"--data: reading {file} needs a library that is not installed", hint=hint) from cause
    except Exception as cause:  # what pandas and its engines raise for a file that is none
        first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise errors.Invalid(
            f"--data: {file} cannot be read as {'Parquet' if columnar else 'CSV'}: {first}",
            hint="Name a CSV file with a header, or a Parquet file.",
        ) from cause


def is_parquet(file: Path) -> bool:
    """Whether the file is Parquet, by its first bytes. Raises NotFound, or Invalid if it is no CSV file either."""
    if not file.is_file():
        if file.exists():
            what = "a folder" if file.is_dir() else "a pipe or a device, which cannot be read twice"
            raise errors.Invalid(f"--data: {file} is {what}", hint="Name a CSV or a Parquet file with a header.")
        raise errors.NotFound(f"--data: there is no file {file}", hint="Name a CSV or a Parquet file with a header.")
    try:
        with file.open("rb") as opened:
            start = opened.read(1024)
    except OSError as cause:
        raise errors.Invalid(
            f"--data: {file} cannot be read: {cause.strerror}", hint="Make it readable, or name another file."
        ) from cause
    if not start.strip():
        raise errors.Invalid(f"--data: {file} is empty", hint="Give a few rows of the data, with a header.")
    if what := _what_else(file, start):
        raise errors.Invalid(
            f"--data: {file} is {what}; a CSV or a Parquet file is read",
            hint='Write some rows of the table as one: table.head(100).to_csv("rows.csv", index=False)',
        )
    return start.startswith(b"PAR1")


def _what_else(file: Path, start: bytes) -> str:
    """What a file is that is neither CSV nor Parquet, as its first bytes show it; empty if they do not."""
    if found := next((what for head, what in _OTHERS.items() if start.startswith(head)), ""):
        return found
    if file.suffix.lower() == ".json" or start.lstrip()[:1] in (b"{", b"["):
        return "JSON"
    is_binary = b"\0" in start and not start.startswith(b"PAR1") and file.suffix.lower() not in _COMPRESSED
    return "no text in UTF-8" if is_binary else ""


def _check_separator(file: Path, frame: Any, wanted: int | None) -> None:
    """Raise Invalid if all columns are one, because commas do not separate them."""
    columns = [str(column) for column in frame.columns]
    separator = next((one for one in _SEPARATORS if one in columns[0]), None) if len(columns) == 1 else None
    if separator is not None and wanted != 1:
        raise errors.Invalid(
            f"--data: {file} has one column, {columns[0]!r}: {_SEPARATORS[separator]} separate its values, not commas",
            hint='Write it with commas: pandas.read_csv(FILE, sep=..., decimal=...).to_csv("rows.csv", index=False)',
        )


def of(
    file: Path,
    frame: Any,
    names: Sequence[str] | None,
    count: int | None,
    why: str = "the estimator was fitted on",
) -> Sample:
    """The columns of the estimator. Without `names`, all columns in their order. Raises Invalid if they do not fit.

    `why` is what the message says of a column that is missing.
    """
    if not len(frame):
        raise errors.Invalid(f"--data: {file} has no rows", hint="Give a few rows of the data, with a header.")
    _check_separator(file, frame, len(names) if names is not None else count)
    if names is not None:
        if missing := [name for name in names if name not in frame.columns]:
            raise errors.Invalid(
                f"--data: {file} has no column {', '.join(missing)}, which {why}; it has "
                f"{', '.join(map(str, frame.columns))}",
                hint="Give the table before its columns are renamed, encoded or dropped.",
            )
        return Sample(file.name, frame[list(names)])
    if count is not None and len(frame.columns) != count:
        raise errors.Invalid(
            f"--data: {file} has {len(frame.columns)} columns, but the estimator was fitted on {count}, without names",
            hint="Give exactly these columns, in their order, without the target.",
        )
    return Sample(file.name, frame.set_axis(field_names([str(column) for column in frame.columns]), axis=1))
