"""Chooses the fields by which answers of two versions are compared: a class and a score. Chosen once per answer type.

The class is the first field with a fixed set of values (a Literal, an Enum, a bool). If there is none, it is the first
text or integer field whose name is in CLASS_FIELD_NAMES. The score is the first other field that holds numbers: the
largest of several numbers, such as the probabilities of all classes, or the value itself, such as a regression's.
"""

from __future__ import annotations

import contextlib
import enum
import math
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from pydantic import BaseModel

CLASS_FIELD_NAMES = frozenset({"label", "class", "class_", "category", "prediction", "predict", "species", "outcome"})
MAX_LABEL_CHARS = 64
MAX_FIELDS = 64
MAX_SHARES = 100
"""An answer with more probabilities has no entropy: it would cost more than all other counting."""
_NEAR_ONE = 0.01


class LabelAndScore(NamedTuple):
    """The compared values of one answer."""

    label: str | None
    score: float | None


class Reader:
    """Reads label and score from answers of one type. May be used from any thread."""

    def __init__(self, answer_type: type[BaseModel]) -> None:
        fields = {name: _unwrapped(field.annotation) for name, field in answer_type.model_fields.items()}
        self._label = _first(fields, _has_fixed_values) or _first(fields, _may_name_a_class, CLASS_FIELD_NAMES)
        self._score = next((name for name in fields if name != self._label and _score_function(fields[name])), None)
        self._score_of = _score_function(fields[self._score]) if self._score else None
        self.fields = describe(answer_type)
        self.label = self._label
        """The field with the class; None if there is none."""
        self.choices = _choices(fields[self._label]) if self._label else ()
        """All values of the class, if its type says them."""
        self.score = self._score
        """The field with the score; None if there is none."""
        self.number = self._score if self._score and fields[self._score] in (float, int) else None
        """The field with the score, if it holds one number; None otherwise."""
        self._parts_of = _parts_function(fields[self._score]) if self._score else None

    def read(self, answer: BaseModel) -> LabelAndScore:
        """Label and score of an answer. Never raises: a value that cannot be read is None."""
        values: dict[str | None, Any] = answer.__dict__  # type: ignore[assignment]  # of no field there is no value
        score = None
        if self._score_of is not None and (value := values.get(self._score)) is not None:
            try:
                score = self._score_of(value)
            except (TypeError, ValueError, AttributeError, OverflowError):
                score = None
        return LabelAndScore(_text(values.get(self._label)), score)

    def measured(self, answer: BaseModel) -> dict[str, Any]:
        """What drift is measured of in an answer: `label`, `score`, and `entropy` in bits. Never raises.

        The entropy is that of the score's field, if it holds up to MAX_SHARES probabilities that add up to 1.
        """
        label, score = self.read(answer)
        entropy = None
        if self._parts_of is not None and (value := answer.__dict__.get(self._score or "")) is not None:
            with contextlib.suppress(TypeError, ValueError, AttributeError, OverflowError):
                entropy = _entropy(self._parts_of(value))
        return {"label": label, "score": score, "entropy": entropy}


def describe(answer_type: type[BaseModel]) -> dict[str, str]:
    """Map each field of an answer, such as `probabilities.setosa`, to its JSON type. Bounds and texts are left out."""
    schema = answer_type.model_json_schema(mode="serialization")
    found = dict(_described(schema, schema.get("$defs", {}), "", depth=0))
    return dict(list(found.items())[:MAX_FIELDS])


def _described(schema: Any, definitions: Any, prefix: str, depth: int) -> typing.Iterator[tuple[str, str]]:
    schema = _resolved(schema, definitions)
    for name, part in schema.get("properties", {}).items():
        part = _resolved(part, definitions)
        yield f"{prefix}{name}", _type_of(part, definitions)
        if depth < 3:
            yield from _described(part, definitions, f"{prefix}{name}.", depth + 1)


def _resolved(schema: Any, definitions: Any) -> Any:
    reference = schema.get("$ref")
    return definitions.get(reference.rpartition("/")[2], {}) if reference else schema


def _type_of(part: Any, definitions: Any) -> str:
    if "anyOf" in part:
        return "|".join(sorted({_type_of(_resolved(one, definitions), definitions) for one in part["anyOf"]}))
    if part.get("type") == "array":
        return f"array of {_type_of(_resolved(part.get('items') or {}, definitions), definitions)}"
    if "const" in part or "enum" in part:
        return str(part.get("type", "string"))
    return str(part.get("type", "any"))


def _unwrapped(annotation: Any) -> Any:
    """The annotation without `Annotated` and without `None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _unwrapped(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(annotation) if part is not type(None)]
        return _unwrapped(rest[0]) if len(rest) == 1 else annotation
    return annotation


def _first(fields: dict[str, Any], fits: Callable[[Any], bool], names: frozenset[str] | None = None) -> str | None:
    return next((name for name, kind in fields.items() if fits(kind) and (names is None or name in names)), None)


def _has_fixed_values(kind: Any) -> bool:
    closed = typing.get_origin(kind) is typing.Literal or kind is bool
    return closed or (isinstance(kind, type) and issubclass(kind, enum.Enum))


def _choices(kind: Any) -> tuple[Any, ...]:
    if kind is bool:
        return (False, True)
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return tuple(kind) if isinstance(kind, type) and issubclass(kind, enum.Enum) else ()


def _may_name_a_class(kind: Any) -> bool:
    return kind in (str, int)


def _score_function(kind: Any) -> Callable[[Any], float | None] | None:
    """The function that reads the score from a value of this type. None if the type holds no numbers."""
    if kind in (float, int):
        return _finite
    if typing.get_origin(kind) in (list, tuple) and all(_unwrapped(part) is float for part in _item_types(kind)):
        return _largest
    if typing.get_origin(kind) is dict and _unwrapped(typing.get_args(kind)[1]) is float:
        return lambda value: _largest(value.values())
    if isinstance(kind, type) and issubclass(kind, BaseModel) and _all_numbers(kind):
        return lambda value: _largest(value.__dict__.values())
    return None


def _parts_function(kind: Any) -> Callable[[Any], Collection[float]] | None:
    """The function that lists the numbers of a value of this type. None if it is one number."""
    if kind in (float, int):
        return None
    if typing.get_origin(kind) is dict:
        return lambda value: value.values()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return lambda value: value.__dict__.values()
    return lambda value: value


def _entropy(shares: Collection[float]) -> float | None:
    if not 2 <= len(shares) <= MAX_SHARES or min(shares) < 0 or not abs(sum(shares) - 1) <= _NEAR_ONE:
        return None
    # Rounded: equal probabilities of other classes are the same entropy, and edges of bins are values.
    return round(-sum(share * math.log2(share) for share in shares if share > 0), 9) + 0.0


def _item_types(kind: Any) -> list[Any]:
    return [part for part in typing.get_args(kind) if part is not Ellipsis] or [None]


def _all_numbers(kind: type[BaseModel]) -> bool:
    fields = [_unwrapped(field.annotation) for field in kind.model_fields.values()]
    return bool(fields) and all(one is float for one in fields)


def _largest(values: Any) -> float | None:
    return _finite(max(values)) if values else None


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(label: Any) -> str | None:
    if type(label) is str and len(label) <= MAX_LABEL_CHARS and label.isascii():
        return label  # the common case, kept fast because this runs for every answer
    if label is None:
        return None
    text = str(label.value if isinstance(label, enum.Enum) else label)
    if not text.isascii():  # a lone surrogate cannot be encoded as UTF-8
        text = text.encode(errors="replace").decode()
    return text if len(text) <= MAX_LABEL_CHARS else f"{text[: MAX_LABEL_CHARS - 1]}…"
