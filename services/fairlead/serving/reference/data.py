"""The rows of a CSV or Parquet file, as clients of the model send them."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, overload

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.serving.formats import field_kinds
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.measured import Measured, measurable, measured
from fairlead.serving.new import sample

_IMAGE_FILES = (".jpg", ".jpeg", ".png", ".webp")
_ORDER = 2026
"""The seed of the order of photos."""
_WRITTEN: tuple[tuple[Callable[[str], Any], Callable[[str], Any]], ...] = (
    (re.compile(r"-?(0|[1-9]\d*)").fullmatch, int),
    (re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?").fullmatch, float),
    (re.compile("True|False|true|false").fullmatch, lambda one: one in ("True", "true")),
)
"""How all labels of a column are written that are not texts, and what they become."""


class Photos(Sequence[dict[str, Any]]):
    """The rows of a folder of image files. A file is read each time its row is asked for, and none is kept."""

    def __init__(self, files: Sequence[Path], field: str, most: int, others: int = 0) -> None:
        """`field` is the name of the image in JSON, and `most` the bytes that a file may have."""
        self.files = files
        self.others = others
        """How many files of the folder are no images by their names."""
        self._field, self._most = field, most

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Photos: ...

    def __getitem__(self, place: int | slice) -> dict[str, Any] | Photos:
        if isinstance(place, slice):
            return Photos(self.files[place], self._field, self._most)
        file = self.files[place]
        try:
            with file.open("rb") as opened:
                # A byte more than is allowed is enough to be refused, however large the file is.
                return {self._field: _as_base64(opened.read(self._most + 1))}
        except OSError as cause:
            raise errors.Invalid(
                f"--data: {file} cannot be read: {cause.strerror}", hint="Make it readable, or take it away."
            ) from cause


def rows_of(file: Path, folder: ModelFolder) -> Sequence[dict[str, Any]]:
    """The rows of a file as JSON objects; its other columns, such as the target, are not read.

    For a model whose rows are one image, `file` may be a folder of image files. A column of images has their bytes or
    their base64. Raises NotFound or Invalid for a file that is none, that lacks a column, or whose column holds no such
    values, and Unavailable without the libraries that read it.
    """
    fields = measurable(folder.row_type)
    if file.is_dir():
        return _photos(file, folder, fields)
    texts = {name: how.choices for name, how in fields.items() if _is_text(how)}
    frame = sample.read(file, {column: texts[name] for name in texts for column in _columns(folder, name)})
    if not len(frame):
        raise errors.Invalid(f"--data: {file} has no rows", hint="Give rows that the model was not trained on.")
    names = list(folder.row_type.model_fields)
    found = {name: next((one for one in _columns(folder, name) if one in frame.columns), None) for name in names}
    if len(names) == 1 and found[names[0]] is None and _is_vector(fields.get(names[0]), len(frame.columns)):
        return [{_sent(folder, names[0]): row} for row in frame.to_numpy().tolist()]
    if missing := [name for name, column in found.items() if column is None]:
        raise errors.Invalid(
            f"--data: {file} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}",
            hint="Give the table with the columns that clients send, under the names of the model's inputs.",
        )
    columns = {
        _sent(folder, name): [
            _value(one, fields.get(name), f"{file}: column {column}") for one in _dates(folder, name, frame[column])
        ]
        for name, column in found.items()
    }
    may_be_null = {_sent(folder, name) for name in names if _is_nullable(folder, name)}
    return [
        # A client leaves out what is missing, if the field takes no null.
        {name: one for name, one in zip(columns, values, strict=True) if one is not None or name in may_be_null}
        for values in zip(*columns.values(), strict=True)
    ]


def _photos(at: Path, folder: ModelFolder, fields: Mapping[str, Measured]) -> Photos:
    """A row for each image file of a folder and the folders in it, in an order that is always the same."""
    names = list(folder.row_type.model_fields)
    if len(names) != 1 or fields[names[0]].kind != "image":
        raise errors.Invalid(
            f"--data: {at} is a folder, and a row of this model is not one image",
            hint="Give a table, CSV or Parquet, with a column for each input.",
        )
    found = sorted(one for one in at.rglob("*") if not _is_hidden(one.relative_to(at)) and one.is_file())
    # A file whose name ends otherwise is no image, or one that no model takes.
    files = [one for one in found if one.suffix.lower() in _IMAGE_FILES]
    if not files:
        raise errors.Invalid(f"--data: {at} has no image files", hint=f"They end in {', '.join(_IMAGE_FILES)}.")
    # By their names, the first half would be other folders or another time than the second.
    random.Random(_ORDER).shuffle(files)
    (most,) = (one.image.max_bytes for one in folder.manifest.inputs if one.name == names[0] and one.image)
    return Photos(files, _sent(folder, names[0]), most, others=len(found) - len(files))


def _is_hidden(path: Path) -> bool:
    """Whether a file is not one of the user's: macOS puts ._a.jpg beside a.jpg, or into __MACOSX."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def labels_of(file: Path, column: str, folder: ModelFolder) -> list[Any]:
    """The true classes or numbers in a column of a file; None where there is none.

    Those of a CSV file are numbers only if all are written as numbers are: "01067" is a class.

    Raises Invalid if there is no such column, and what `rows_of` raises for a file that is none.
    """
    if file.is_dir():
        raise errors.Invalid(
            f"--labels: {file} is a folder, which has no columns",
            hint="Give a Parquet table with a column of images and one of labels.",
        )
    frame = sample.read(file, {column: [one for how in measured(folder.answer_type).values() for one in how.choices]})
    if column not in frame.columns:
        raise errors.Invalid(
            f"--labels: {file} has no column {column}; it has {', '.join(map(str, frame.columns))}",
            hint="Name the column with what is true of each row.",
        )
    values = [_value(one, None, column) for one in frame[column].astype(object)]
    if sample.is_parquet(file):
        return values
    texts = [one for one in values if one is not None]
    read = next((read for written, read in _WRITTEN if all(map(written, texts))), str)
    return [None if one is None else read(one) for one in values]


def _columns(folder: ModelFolder, name: str) -> Sequence[str]:
    """The names that the column of a field may have."""
    tables = [one.in_table for one in folder.manifest.inputs if one.name == name]
    return list(dict.fromkeys([name, _sent(folder, name), *tables]))


def _sent(folder: ModelFolder, name: str) -> str:
    """The name of a field in JSON."""
    return field_kinds.sent_name(name, folder.row_type.model_fields[name])


def _dates(folder: ModelFolder, name: str, column: Any) -> Any:
    """A column whose times are dates, if the field takes only these: a table has no type for dates."""
    kinds = field_kinds.kinds(folder.row_type.model_fields[name].annotation)
    return column.dt.date if column.dtype.kind == "M" and date in kinds and datetime not in kinds else column


def _is_nullable(folder: ModelFolder, name: str) -> bool:
    return type(None) in field_kinds.kinds(folder.row_type.model_fields[name].annotation)


def _is_text(how: Measured) -> bool:
    return how.kind == "text" or (how.kind == "category" and all(isinstance(one, str) for one in how.choices))


def _is_vector(how: Measured | None, columns: int) -> bool:
    return how is not None and how.kind == "numbers" and how.size == columns


def _value(value: Any, how: Measured | None, where: str) -> Any:
    """A value of a table as a client sends it; None if it is missing."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    if how is not None and how.kind == "image":
        return _image(value, where)
    if how is None or how.kind == "numbers":
        return _as_is(value)
    if _is_text(how):
        return str(value)
    try:
        return _number(value, how)
    except (TypeError, ValueError):
        raise errors.Invalid(
            f"--data: {where}: {str(value)[:40]!r} is no {_noun(how)}",
            hint="Give the values as clients send them.",
        ) from None


def _image(value: Any, where: str) -> str | None:
    """An image of a table in base64; None if it is missing."""
    path = ""
    if isinstance(value, Mapping):  # tables of Hugging Face have the bytes and the path of the file, or one of them
        path, value = value.get("path") or "", value.get("bytes")
    if isinstance(value, bytes | bytearray):
        return _as_base64(bytes(value))
    if value is not None and not str(value).lower().endswith(_IMAGE_FILES):
        return str(value)
    if path := path if value is None else str(value):
        raise errors.Invalid(
            f"--data: {where}: {path[-80:]!r} is the path of a file, and not an image",
            hint="Give the folder of the files as --data, or a Parquet table with a column of their bytes.",
        )
    return None


def _noun(how: Measured) -> str:
    return "boolean" if how.kind == "category" and bool in map(type, how.choices) else "number"


def _number(value: Any, how: Measured) -> Any:
    if _noun(how) == "boolean":
        if value not in (0, 1):
            raise ValueError
        return bool(value)
    if how.kind == "category" or how.is_whole:
        return int(value) if float(value).is_integer() else float(value)
    return float(value)


def _as_is(value: Any) -> Any:
    """A value that is not measured: a list, an object as JSON text, a time."""
    if hasattr(value, "tolist"):
        return _as_is(value.tolist())
    if isinstance(value, list):  # of lists, Parquet makes arrays of arrays
        return [_as_is(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json_text.read(value)
        except ValueError:
            return value
    return value
