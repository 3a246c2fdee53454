"""Asks the model made-up rows, and keeps those that it answers."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from fairlead import errors
from fairlead.serving.check.protocols import Row
from fairlead.serving.formats.author_code import described
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.inference import batching, contract


def answered_rows(
    compute: batching.Compute, terms: contract.Contract, asking: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """The made-up rows that the model answers, and why not the others. Raises ModelFailed if an answer is not one.

    `asking` is called with the name of each row before it is asked, and with "" after it.
    """
    answered: list[Row] = []
    refusals: list[str] = []
    for number, value in enumerate(made_up(terms.row_type), 1):
        name = f"made-up row {number}"
        asking(name)
        try:
            answers = compute(terms.decode_one(orjson.dumps(value)))
        except errors.ModelFailed as problem:  # the model answered, but not with its answer type
            raise errors.ModelFailed(f"{name}: {problem.message}", hint=problem.hint) from problem
        except (Exception, SystemExit) as cause:  # a row may have the right types and still mean nothing to the model
            refusals.append(f"{name} made it fail: {described(cause)}")
            continue
        finally:
            asking("")
        try:
            terms.documents(answers)
        except errors.ModelFailed as problem:
            if "NaN or infinity" in problem.message:  # the answer has its type, and this row no answer
                refusals.append(f"{name}: {problem.message}")
                continue
            hint = "Give each field a value of its type; `model_construct` checks none."
            raise errors.ModelFailed(f"{name}: {problem.message}", hint=hint) from problem
        answered.append(Row(name, value))
    return answered, refusals
