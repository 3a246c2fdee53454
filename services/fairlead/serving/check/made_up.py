"""Asks the model made-up rows, and keeps those that it answers."""

from __future__ import annotations

import warnings

import orjson
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from fairlead import errors
from fairlead.serving.check.protocols import Row
from fairlead.serving.formats.author_code import described
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.inference import batching, contract


def answered_rows(compute: batching.Compute, terms: contract.Contract) -> tuple[list[Row], str]:
    """The made-up rows that the model answers, and why it refused one. Raises ModelFailed if an answer is not one."""
    answered, refusal = [], "no row could be made up from the row type"
    for number, value in enumerate(made_up(terms.row_type), 1):
        name = f"made-up row {number}"
        try:
            answers = compute(terms.decode_one(orjson.dumps(value)))
        except errors.ModelFailed as problem:  # the model answered, but not with its answer type
            raise errors.ModelFailed(f"{name}: {problem.message}", hint=problem.hint) from problem
        except (Exception, SystemExit) as cause:  # a row may have the right types and still mean nothing to the model
            refusal = f"{name} made it fail: {described(cause)}"
            continue
        try:
            terms.check_finite(answers)
        except errors.ModelFailed as problem:
            refusal = f"{name}: {problem.message}"
            continue
        _check_fields(answers, name)
        answered.append(Row(name, value))
    return answered, refusal


def _check_fields(answers: list[BaseModel], name: str) -> None:
    """Raise ModelFailed if a field of an answer has another type than it declares: `model_construct` checks none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Pydantic serializer warnings")
        try:
            for answer in answers:
                answer.model_dump_json()
        except (UserWarning, PydanticSerializationError) as cause:
            problem = str(cause).removeprefix("Pydantic serializer warnings:").strip()
            hint = "Give each field a value of its type; `model_construct` checks none."
            raise errors.ModelFailed(f"{name}: the answer is not what its type says: {problem}", hint=hint) from cause
