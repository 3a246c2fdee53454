"""Made-up rows: rows that a row type accepts, made from its JSON schema. The same type gives the same rows.

They show that a model answers at all, and that its answers can be written in every protocol. They do not show that the
answers are right: only golden rows do. Values are small and inside their bounds; fields that may be null are null in
some rows and not in others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from fairlead.serving.inputs import solid_png
from fairlead.serving.inputs.image_field import MEDIA

FEW, SPAN = 8, 10
"""How many rows are made, and how far apart unbounded numbers are at most."""
_TRIES = 5 * FEW
_LARGE = 20_000
"""A row with more characters as JSON is an image or the like: each try takes long, and its values are plain numbers."""
_MOST = 1_000_000
"""The characters that two rows may have beside others: a folder with eight of the rows of an image has megabytes."""
_DEPTH = 4
"""How many times a type may contain itself before null or an empty list ends it."""
_TEXTS: Mapping[str, str] = {
    "date-time": "2025-01-0{day}T12:00:00Z",
    "date": "2025-01-0{day}",
    "time": "12:0{day}:00",
    "duration": "PT{day}H",
    "uuid": "00000000-0000-4000-8000-00000000000{day}",
    "email": "person{day}@example.com",
    "uri": "https://example.com/{day}",
    "ipv4": "192.0.2.{day}",
    "ipv6": "2001:db8::{day}",
}
_WORDS = ("text", "another text", "a longer text of seven words here")


@dataclass(frozen=True, slots=True)
class MadeUp:
    """How made-up rows are asked. Nobody sent them, so a call with one may not keep the model from serving.

    `skipped`: why none is asked, as the end of a sentence; empty if they are. `asking` is called with what is asked
    before each call with a made-up row, and with "" after it: only who watches from outside can end a call.
    """

    skipped: str = ""
    asking: Callable[[str], None] = lambda _: None


MADE_UP = MadeUp()
"""Made-up rows are asked, and nobody watches."""


def made_up(row_type: type[BaseModel], count: int = FEW) -> list[dict[str, Any]]:
    """Up to `count` different rows that the type accepts, as JSON objects.

    There are fewer, or none, if the type has rules that its JSON schema does not have, or has no JSON schema. There are
    two if a row is as large as the values of an image.
    """
    try:
        schema = row_type.model_json_schema()
    except PydanticUserError:
        return []
    maker = _Maker(schema.get("$defs", {}))
    first = maker.row(schema, 0)
    size = len(json.dumps(first))
    is_large = size > _LARGE
    count = min(count, max(2, _MOST // size))
    tries = [first, *(maker.row(schema, turn) for turn in range(1, count if is_large else _TRIES))]
    if all(isinstance(row, dict) for row in tries):
        tries = _recombined(row_type, tries)
    found: dict[str, Any] = {}
    for row in tries:
        if len(found) < count and not _wrong_fields(row_type, row):
            found.setdefault(json.dumps(row), row)
    return list(found.values())


def _recombined(row_type: type[BaseModel], tries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of those values that the type accepts, field by field: a value that is wrong fails its whole row."""
    accepted: dict[str, list[Any]] = {name: [] for name in tries[0]}
    for row in tries:
        for name in row.keys() - _wrong_fields(row_type, row):
            accepted[name].append(row[name])
    count = len(tries) if all(accepted.values()) else 0
    return [{name: values[turn % len(values)] for name, values in accepted.items()} for turn in range(count)]


def _wrong_fields(row_type: type[BaseModel], row: Any) -> set[str]:
    """The fields, or "" for the row as a whole, that the type does not accept."""
    try:
        row_type.model_validate_json(json.dumps(row))
    except ValidationError as problem:
        return {str(error["loc"][0]) if error["loc"] else "" for error in problem.errors()}
    return set()


_Make = Callable[[Mapping[str, Any], int, int], Any]


class _Maker:
    """Makes values of schemas. `turn` numbers the rows: another turn gives another value where there are several."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._made: dict[tuple[int, int, int], Any] = {}
        self._row = 0
        self._makers: Mapping[str, _Make] = {
            "object": self._object,
            "array": self._array,
            "number": self._number,
            "integer": self._number,
            "string": self._string,
            "boolean": lambda part, turn, depth: turn % 2 == 0,
            "null": lambda part, turn, depth: None,
        }

    def row(self, schema: Mapping[str, Any], turn: int) -> Any:
        """A row. Its lists of open length have one length: some must have the same, which no JSON schema says."""
        self._row = turn
        self._made.clear()
        return self.value(schema, turn)

    def value(self, part: Mapping[str, Any], turn: int, depth: int = 0) -> Any:
        """A value for this part of the schema. The type may have further rules, and refuse it."""
        if "$ref" in part:
            return self.value(self._definitions[part["$ref"].rpartition("/")[2]], turn, depth + 1)
        if "const" in part:
            return part["const"]
        if "enum" in part:
            return part["enum"][turn % len(part["enum"])]
        for key in ("anyOf", "oneOf", "allOf"):
            if options := part.get(key):
                ends = [option for option in options if option.get("type") == "null"]
                options = ends if ends and depth > _DEPTH else options
                return self.value(options[turn % len(options)], turn // len(options), depth)
        make = self._makers.get(part.get("type", ""))
        return make(part, turn, depth) if make else turn  # else any value is allowed

    def _object(self, part: Mapping[str, Any], turn: int, depth: int) -> dict[str, Any]:
        fields = part.get("properties")
        if fields is None:
            values = part.get("additionalProperties")
            return {"key": self.value(values if isinstance(values, dict) else {}, turn, depth)}
        # Each field has its own turn, or all fields that may be null would be null in the same row.
        return {name: self.value(field, turn + place, depth) for place, (name, field) in enumerate(fields.items())}

    def _array(self, part: Mapping[str, Any], turn: int, depth: int) -> list[Any]:
        if first := part.get("prefixItems"):
            return [self.value(item, turn + place, depth) for place, item in enumerate(first)]
        made = self._made  # an image has the same values and lines many times
        key = (id(part), turn, depth)
        if key not in made:
            made[key] = self._list(part, turn, depth)
        found: list[Any] = made[key]
        return found

    def _list(self, part: Mapping[str, Any], turn: int, depth: int) -> list[Any]:
        least = part.get("minItems", 0)
        most = min(part.get("maxItems", math.inf), max(least, 1) + self._row % 3)
        count = least if depth > _DEPTH else int(most)
        return [self.value(part.get("items", {}), turn + place, depth) for place in range(count)]

    def _number(self, part: Mapping[str, Any], turn: int, depth: int) -> Any:
        low = max(part.get("minimum", -math.inf), part.get("exclusiveMinimum", -math.inf))
        high = min(part.get("maximum", math.inf), part.get("exclusiveMaximum", math.inf))
        if high - low > 100 * SPAN:  # no bounds, or bounds that say little
            low = low if low >= 0 and low != -math.inf else max(low, min(0, high - SPAN))
            high = min(high, low + SPAN)
        if part["type"] == "integer" or "multipleOf" in part:
            step = part.get("multipleOf", 1)
            first = math.floor(low / step) + (low % step > 0 or low == part.get("exclusiveMinimum"))
            last = math.ceil(high / step) - (high % step > 0 or high == part.get("exclusiveMaximum"))
            return step * (first + turn % max(1, last - first + 1))
        return low + (high - low) * ((turn * 5 + 4) % 9 + 1) / 10  # inside of bounds that may be excluded

    def _string(self, part: Mapping[str, Any], turn: int, depth: int) -> str:
        if MEDIA in part:
            return solid_png.in_base64(turn * 67 % 256)
        if pattern := _TEXTS.get(part.get("format", "")):
            text = pattern.format(day=1 + turn % 9)
            return text if turn % 2 else text.removesuffix("Z")  # only one of both may be accepted
        text = _WORDS[turn % len(_WORDS)]
        least, most = part.get("minLength", 0), part.get("maxLength", len(text))
        return (text * (1 + int(least) // len(text)))[: max(least, min(most, len(text)))]
