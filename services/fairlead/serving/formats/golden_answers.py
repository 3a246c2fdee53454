"""The golden rows of a folder that is written: example inputs with the model's own answers, or with given ones.

Each row is asked alone and beside other rows. A model that answers it differently gets no golden rows: one of the two
answers is wrong, and the rows would say that it is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.golden import Tolerance, compare
from fairlead.contracts.manifest import Manifest
from fairlead.model import Model
from fairlead.serving.formats import golden, rows, watched
from fairlead.serving.formats.answer_writer import AnswerWriter
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.made_up_rows import MadeUp
from fairlead.serving.formats.made_up_rows import made_up as made_up_rows

_DIFFERS_HINT = (
    "A column of a DataFrame that holds only null in one row gets another type than beside rows with values. Write "
    "`predict_frame`, whose columns have the types of the row type's fields, or give each column its dtype. If the "
    "model must see one row at a time, set `batching: {max_rows: 1}` and give the right answers in `golden_expected`. "
    "If the difference is rounding, raise `rtol`, or `atol` for values near zero."
)
_PADDED_HINT = (
    "Shorter rows are padded beside longer ones, and the answer changes with it. Let the network ignore what is behind "
    "the end, usually by a mask, or leave `padding` out: rows of each length then have calls of their own."
)
_JSON_HINT = (
    "Write what a client sends and gets: text for a date, None for a missing value, `.item()` of a numpy number."
)
_ROWS_HINT = (
    "Give a list with one dict per row: `frame.to_dict('records')` of a table, `.model_dump(mode='json')` of an object."
)


def answered(
    loaded: ModelFolder,
    inputs: Sequence[Mapping[str, Any]],
    expected: Sequence[Mapping[str, Any]] | None = None,
    limit_s: float = watched.LIMIT_S,
) -> list[GoldenRow]:
    """Golden rows from inputs. `expected` has the right answers, if the author has them.

    Raises Invalid for an input or an expected answer that cannot be one. Raises ModelFailed if the model fails, does
    not give the expected answers, or answers a row differently beside other rows than alone. A model that takes longer
    than `limit_s` seconds for a row that is made up is loaded again, and asked no such rows.
    """
    checked(inputs)
    if expected is not None:
        _check_they_are_rows("golden_expected", expected)
    if expected is not None and len(expected) != len(inputs):
        raise errors.Invalid(f"golden_expected has {len(expected)} answers for {len(inputs)} golden_inputs")
    parsed = [_parsed(number, "input", given, loaded.row_type) for number, given in enumerate(inputs, 1)]
    answers = watched.run(partial(_answers, loaded, inputs, expected, parsed), limit_s)
    return [GoldenRow(dict(given), answer) for given, answer in zip(inputs, answers, strict=True)]


def differs_hint(manifest: Manifest) -> str:
    """What to do about a model that answers a row in a batch differently than alone."""
    return _PADDED_HINT if any(one.padding for one in manifest.inputs) else _DIFFERS_HINT


def checked(inputs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The golden inputs. Raises Invalid unless they are a list of dicts."""
    _check_they_are_rows("golden_inputs", inputs)
    return inputs


def _answers(
    loaded: ModelFolder,
    inputs: Sequence[Mapping[str, Any]],
    expected: Sequence[Mapping[str, Any]] | None,
    parsed: list[BaseModel],
    made_up: MadeUp,
) -> list[Any]:
    model, within, writer = loaded.start(made_up), loaded.manifest.tolerance, AnswerWriter(loaded.answer_type)
    found = [_alone(model, writer, row, number) for number, row in enumerate(parsed, 1)]
    answers = found if expected is None else list(_agreed(loaded.answer_type, writer, expected, found, within))
    for number, beside in _beside_others(model, writer, parsed, loaded, made_up):
        if difference := compare(found[number - 1], beside, *within):
            raise errors.ModelFailed(
                f"golden row {number} is answered differently in a batch than alone: {difference}"
                f"{_null_fields(inputs[number - 1])}",
                hint=differs_hint(loaded.manifest),
            )
    return answers


def _check_they_are_rows(name: str, given: Any) -> None:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise errors.Invalid(f"{name} is a {type(given).__name__}, not a list of rows", hint=_ROWS_HINT)
    for number, row in enumerate(given, 1):
        if not isinstance(row, Mapping):
            raise errors.Invalid(f"{name}: row {number} is a {type(row).__name__}, not a dict", hint=_ROWS_HINT)


def _parsed(number: int, part: str, value: Mapping[str, Any], kind: type[BaseModel]) -> BaseModel:
    try:
        if problem := golden.not_json(value):
            raise errors.Invalid(problem, hint=_JSON_HINT)
        return golden.parsed(value, kind)
    except errors.Invalid as cause:
        raise errors.Invalid(f"golden row {number}: {part}: {cause.message}", hint=cause.hint) from None


def _alone(model: Model[Any, Any], writer: AnswerWriter, row: BaseModel, number: int) -> Any:
    try:
        (found,) = writer.documents(rows.answer(model, [row]))
    except errors.ModelFailed as cause:
        raise errors.ModelFailed(f"golden row {number}: {cause.message}", hint=cause.hint) from cause
    return found


def _agreed(
    answer_type: type[BaseModel],
    writer: AnswerWriter,
    expected: Sequence[Mapping[str, Any]],
    found: list[Any],
    within: Tolerance,
) -> Iterator[Any]:
    """The expected answers, which the model's must equal."""
    for number, (wanted, answer) in enumerate(zip(expected, found, strict=True), 1):
        full: Any = dict(wanted)
        if writer.reads_back:  # adds the defaults, and names the field that is wrong
            (full,) = writer.documents([_parsed(number, "expected", wanted, answer_type)])
        if difference := compare(full, answer, *within):
            raise errors.ModelFailed(f"golden row {number} is not answered as golden_expected says: {difference}")
        yield full


def _beside_others(
    model: Model[Any, Any], writer: AnswerWriter, parsed: list[BaseModel], loaded: ModelFolder, made_up: MadeUp
) -> Iterator[tuple[int, Any]]:
    """The number of each row, with its answer in a batch. Nothing if the manifest switches batching off.

    Made-up rows are beside it if the model answers them: golden rows may all lack the same field.
    """
    most = loaded.manifest.batching.max_rows
    if most == 1:
        return
    may_ask = loaded.manifest.idempotent and not made_up.skipped
    made = [golden.parsed(row, loaded.row_type) for row in made_up_rows(loaded.row_type)] if may_ask else []
    for start in range(0, len(parsed), most - 1):
        batch = parsed[start : start + most - 1]
        answers = _with_made_up(model, batch, made[: most - len(batch)], made_up)
        if answers is None:
            answers = rows.answer(model, batch + batch[:1])
        yield from enumerate(writer.documents(answers[: len(batch)]), start + 1)


def _with_made_up(
    model: Model[Any, Any], batch: list[BaseModel], made: list[BaseModel], made_up: MadeUp
) -> list[Any] | None:
    """The answers to the rows with made-up ones beside them; None, if these mean nothing to the model."""
    if not made:
        return None
    made_up.asking(f"a batch of {len(batch) + len(made)} with made-up rows")
    try:
        return rows.answer(model, batch + made)
    except errors.ModelFailed:
        return None
    finally:
        made_up.asking("")


def _null_fields(given: Mapping[str, Any]) -> str:
    names = [name for name, value in given.items() if value is None]
    return f"; null in this row: {', '.join(names)}" if names else ""
