"""Warm-up: answers the golden rows alone and in batches, checks the answers, and decides whether to batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts import golden
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import batching, contract


class Golden(Protocol):
    """A golden row: a row and its expected answer, as JSON objects."""

    @property
    def input(self) -> dict[str, Any]:
        """The row."""

    @property
    def expected(self) -> dict[str, Any]:
        """The expected answer."""


@dataclass(frozen=True, slots=True)
class Batchable:
    """Whether rows of several requests may share a call. `reason` is one word, `detail` explains it in a sentence."""

    allowed: bool
    reason: str
    detail: str


def warm_up(
    compute: batching.Compute, terms: contract.Contract, rows: Sequence[Golden], *, rtol: float, max_rows: int
) -> Batchable:
    """Answer every golden row alone, then in batches of up to `max_rows`.

    Raises ModelFailed if the model fails or an answer differs from the expected one, and Invalid for an invalid row.
    """
    inputs = [_row(terms, row, number) for number, row in enumerate(rows, 1)]
    singles = [_alone(compute, terms, row, number) for number, row in enumerate(inputs, 1)]
    for number, (single, row) in enumerate(zip(singles, rows, strict=True), 1):
        if difference := golden.compare(row.expected, single, rtol):
            raise errors.ModelFailed(f"golden row {number} is not answered as expected: {difference}")
    if max_rows == 1:
        return Batchable(False, "manifest", "the manifest sets max_rows to 1")
    if not inputs:
        return Batchable(True, "unchecked", "there are no golden rows to check it with")
    return _invariance(compute, terms, inputs, singles, rtol, max_rows)


def _row(terms: contract.Contract, row: Golden, number: int) -> BaseModel:
    try:
        return terms.decode_one(orjson.dumps(row.input))[0]
    except errors.Invalid as problem:
        raise errors.Invalid(f"golden row {number} is not a valid input: {problem.message}") from problem


def _alone(compute: batching.Compute, terms: contract.Contract, row: BaseModel, number: int) -> Any:
    try:
        return terms.documents(compute([row]))[0]
    except (Exception, SystemExit) as cause:
        raise errors.ModelFailed(f"golden row {number} made the model fail: {described(cause)}") from cause


def _invariance(
    compute: batching.Compute,
    terms: contract.Contract,
    inputs: list[BaseModel],
    singles: list[Any],
    rtol: float,
    max_rows: int,
) -> Batchable:
    """Compare the answers in a batch with those given alone. A single golden row is repeated to make a batch."""
    repeats = 1 if len(inputs) > 1 else 2
    for start in range(0, len(inputs), max_rows):
        chunk = inputs[start : start + max_rows] * repeats
        wanted = singles[start : start + max_rows] * repeats
        try:
            answers = terms.documents(compute(chunk))
        except (Exception, SystemExit) as cause:
            return Batchable(
                False, "batch_failed", f"{len(chunk)} golden rows in one call made the model fail: {described(cause)}"
            )
        for number, (single, answer) in enumerate(zip(wanted, answers, strict=True), start + 1):
            if difference := golden.compare(single, answer, rtol):
                return Batchable(
                    False, "not_invariant", f"golden row {number} is answered differently in a batch: {difference}"
                )
    return Batchable(True, "invariant", "the golden rows get the same answers in a batch as alone")
