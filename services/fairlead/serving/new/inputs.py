"""The inputs of a manifest for a fitted estimator.

A column's datatype comes from the values that an encoder knows, else from the sample, else it is FP64. The rest is
asked: an input may be null if the estimator answers a row without it, and it has choices if the estimator fails at a
value that its encoder does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, get_args

from fairlead import errors
from fairlead.contracts.columns import ColumnType, problem
from fairlead.serving.formats.estimator_input import column_names, dropped_columns
from fairlead.serving.new import asking, structure
from fairlead.serving.new.names import field_names
from fairlead.serving.new.sample import Sample, as_json
from fairlead.serving.new.structure import Facts

Input = dict[str, Any]
TEXT = {"name": "text", "datatype": "BYTES"}
UNKNOWN = "a text that nobody has trained on"
MOST_CHOICES = 1000
"""An encoder that knows more values has no choices in the manifest: every request would be compared with all."""
_BY_HAND = (
    "Give some rows of the training data: --data FILE (Parquet keeps the types of its columns). If a row has other "
    "fields than the columns, write a model.py "
    "with a fairlead.Model (docs/model-folder.md#writing-one)."
)
_UNFITTED = "Fit the estimator, and write the file after that."
_UNUSUAL = frozenset(get_args(ColumnType)) - {"int64", "float64", "bool", "str", "category"}


def names_of(estimator: Any) -> tuple[tuple[str, ...] | None, int | None]:
    """The names of the estimator's columns, if it has them, and their number, if it tells it."""
    names = column_names(estimator)
    count = getattr(estimator, "n_features_in_", None)
    return names, len(names) if names is not None else count if isinstance(count, int) else None


def infer(estimator: Any, sample: Sample | None) -> list[Input]:
    """The inputs. Raises Invalid if the estimator tells too little, or does not answer a row of them."""
    names, count = names_of(estimator)
    if names is None and structure.takes_texts(estimator):
        return [_described(TEXT, sample, next(iter(sample.frame.columns)) if sample else "")]
    if count is None and sample is not None:
        count = len(sample.frame.columns)
    if count is None:
        raise errors.Invalid("the file does not tell how many columns its estimator was fitted on", hint=_BY_HAND)
    known = structure.facts(estimator, count)
    columns = list(names or (sample.frame.columns if sample else [f"x{place}" for place in range(count)]))
    named = dict(zip(columns, field_names(columns), strict=True))
    kept = needed(estimator, columns) if names is not None else columns
    found: list[Input] = []
    for place, column in enumerate(columns):
        if column in kept:
            values = sample.frame[column] if sample else None
            one = _input(named[column], column, known.get(place, Facts()), values, is_named=names is not None)
            found.append(_described(one, sample, column))
    facts = {named[column]: known.get(place, Facts()) for place, column in enumerate(columns)}
    return _asked(estimator, found, facts, _base_row(estimator, found, facts, sample))


def needed(estimator: Any, columns: Sequence[str]) -> Sequence[str]:
    """The columns that the estimator reads."""
    dropped = dropped_columns(estimator, columns)
    return [column for column in columns if column not in dropped]


def _input(name: str, column: str, facts: Facts, values: Any, *, is_named: bool) -> Input:
    one: Input = {"name": name}
    if is_named and name != column:
        one["column"] = column
    choices = list(facts.values) or (list(values.cat.categories) if _is_category(values) else [])
    one["datatype"] = _datatype(column, facts, choices, values)
    if (facts.is_category or _is_category(values)) and is_named and one["datatype"] in ("BYTES", "INT64"):
        listed = list(values.cat.categories) if _is_category(values) else choices
        return one | {"choices": [as_json(value, one["datatype"]) for value in listed], "column_type": "category"}
    if facts.has_none:
        return one | {"column_type": "object", "missing": "None"}
    kind = "" if values is None else str(values.dtype)
    fits = kind in _UNUSUAL and problem(kind, one["datatype"], nullable=False, has_choices=False) is None
    return one | {"column_type": kind} if is_named and fits else one


def _datatype(column: str, facts: Facts, choices: Sequence[Any], values: Any) -> str:
    if any(isinstance(value, date | timedelta) for value in choices):
        raise _has_dates(column, "column of dates")
    if facts.is_text or any(isinstance(value, str) for value in choices):
        return "BYTES"
    seen = "" if values is None else _of_values(column, values)
    if not choices or seen == "BOOL":
        return seen or "FP64"
    kinds = {type(value) for value in choices}
    return "BOOL" if kinds == {bool} else "INT64" if kinds == {int} else "FP64"


def _of_values(column: str, values: Any) -> str:
    """The datatype of a column of the sample. Raises Invalid if there is none."""
    kind = values.dtype.kind
    if kind in "mM":
        raise _has_dates(column, str(values.dtype))
    present = values.dropna()
    if kind == "O" and len(present) and all(isinstance(value, bool) for value in present):
        kind = "b"
    if str(values.dtype).lower() == "float32":
        return "FP32"
    return {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64"}.get(kind, "BYTES")


def _has_dates(column: str, what: str) -> errors.Invalid:
    return errors.Invalid(
        f"column {column} is a {what}, which no datatype stands for",
        hint="Write a model.py with `predict_frame`, which takes dates: docs/model-folder.md#pandas.",
    )


def _is_category(values: Any) -> bool:
    return values is not None and str(values.dtype) == "category"


def _base_row(
    estimator: Any, inputs: list[Input], facts: Mapping[str, Facts], sample: Sample | None
) -> Mapping[str, Any]:
    """A row that the estimator answers. Columns of which nothing is known become texts if it answers no number."""
    failure: errors.FairleadError | None = None
    for row in [*(sample.rows(inputs) if sample else ()), {one["name"]: _value(one, facts) for one in inputs}]:
        filled = {one["name"]: _value(one, facts) if row[one["name"]] is None else row[one["name"]] for one in inputs}
        try:
            asking.answer(estimator, inputs, [filled])
        except errors.FairleadError as cause:
            failure = failure or cause
            continue
        return filled
    unknown = [one for one in inputs if one["datatype"] == "FP64" and not facts[one["name"]].values]
    if sample is None and unknown:
        for one in unknown:
            one["datatype"] = "BYTES"
        row = {one["name"]: _value(one, facts) for one in inputs}
        try:
            asking.answer(estimator, inputs, [row])
        except errors.FairleadError:
            pass
        else:
            return row
    why = failure.message if failure else ""
    raise errors.Invalid(f"the estimator answers no row: {why}", hint=_hint(why, inputs, sample))


def _hint(why: str, inputs: Sequence[Input], sample: Sample | None) -> str:
    """What to do about an estimator that answers no row."""
    if "NotFittedError" in why:
        return _UNFITTED
    if sample is None:
        return _BY_HAND
    read = ", ".join(f"{one.get('column', one['name'])} as {one['datatype']}" for one in inputs)
    return (
        f"Its columns were read as these types: {read}. If one is wrong, give a Parquet file, which keeps the types of "
        "columns. Else write a model.py with a fairlead.Model (docs/model-folder.md#writing-one)."
    )


def _value(one: Mapping[str, Any], facts: Mapping[str, Facts]) -> Any:
    known = one.get("choices") or facts[one["name"]].values
    if known:
        return as_json(known[0], one["datatype"])
    return {"BYTES": "text", "BOOL": True, "INT64": 1}.get(one["datatype"], 1.0)


def _asked(estimator: Any, inputs: list[Input], facts: Mapping[str, Facts], row: Mapping[str, Any]) -> list[Input]:
    """The inputs with what the estimator answers: null, and values that its encoders do not know."""

    def answers(place: int, changed: Input, value: Any) -> bool:
        others = [*inputs[:place], changed, *inputs[place + 1 :]]
        try:
            asking.answer(estimator, others, [{**row, changed["name"]: value}])
        except (errors.FairleadError, ValueError):  # pydantic's is a ValueError: a column that holds no null
            return False
        return True

    for place, one in enumerate(inputs):
        values = facts[one["name"]].values
        if values and "choices" not in one and one["datatype"] in ("BYTES", "INT64"):
            unknown = UNKNOWN if one["datatype"] == "BYTES" else max(values) + 1
            if len(values) <= MOST_CHOICES and not answers(place, one, unknown):
                one["choices"] = [as_json(value, one["datatype"]) for value in values]
        for null in _nulls(one):
            if answers(place, one | null, None):
                one |= null
                break
        else:
            if one.pop("missing", None):
                del one["column_type"]
    return inputs


def _nulls(one: Input) -> Iterator[Input]:
    """The ways in which an input may be null: as its column usually has it, or as a column of objects has it."""
    yield {"nullable": True}
    if one["datatype"] in ("BYTES", "BOOL") and "column_type" not in one:
        yield {"nullable": True, "column_type": "object"}


def _described(one: Input | Mapping[str, Any], sample: Sample | None, column: str) -> Input:
    return {**one, "description": sample.description(column)} if sample else dict(one)
