"""Warm-up: answers rows alone and in batches, checks the answers, and decides whether to batch.

A batch holds rows of several callers, so each must get the answer of its own row. A model that returns its answers
along another axis shows it in batches of two and of three rows: no other axis has both lengths. The rows are the golden
rows, and made-up ones where there are fewer than three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import orjson
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts import golden
from fairlead.serving.formats import made_up_rows
from fairlead.serving.formats.author_code import described, hint_of
from fairlead.serving.formats.made_up_rows import MADE_UP, MadeUp
from fairlead.serving.inference import batching, contract

SIZES = (2, 3)
"""The batches that show along which axis a model answers."""


_ENDED = (errors.ProcessEnded, errors.CallTimedOut)
"""Failures of a call that leave no process to call again. Without a process for the model there are none."""


class EndedByMadeUpRow(errors.ProcessEnded):
    """A row that nobody sent ended the process of the model. Ask another process no made-up rows."""


def not_returned(asked: str, seconds: float) -> str:
    """Why no made-up rows are asked after a call with one that did not return."""
    return f"{asked} has not returned within {seconds:g} s"


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A row, its answer alone, and what to call it."""

    row: BaseModel
    alone: Any
    name: str
    is_made_up: bool = False


def warm_up(
    compute: batching.Compute,
    terms: contract.Contract,
    rows: Sequence[Golden],
    *,
    rtol: float,
    atol: float | None = None,
    max_rows: int,
    idempotent: bool = True,
    made_up: MadeUp = MADE_UP,
) -> Batchable:
    """Answer every golden row alone, then in batches of up to `max_rows`.

    A model that is not `idempotent` is asked no made-up rows. Raises ModelFailed if the model fails or an answer
    differs from the expected one, Invalid for an invalid row, and EndedByMadeUpRow, whose message is for
    `made_up.skipped`.
    """
    differ = partial(golden.compare, rtol=rtol, atol=atol)
    inputs = [_row(terms, row, number) for number, row in enumerate(rows, 1)]
    asked = [
        _Asked(row, _alone(compute, terms, row, number), f"golden row {number}") for number, row in enumerate(inputs, 1)
    ]
    for one, given in zip(asked, rows, strict=True):
        if difference := differ(given.expected, one.alone):
            raise errors.ModelFailed(f"{one.name} is not answered as expected: {difference}")
    if max_rows == 1:
        return Batchable(False, "manifest", "the manifest sets max_rows to 1")
    kinds = "the golden rows"
    if _different(asked) < max(SIZES):
        failure = made_up.skipped if idempotent else "the manifest says `idempotent: false`"
        made, failure = ([], failure) if failure else _ask_made_up(compute, terms, made_up)
        kinds = "golden and made-up rows" if asked and made else "made-up rows" if made else kinds
        asked += made
        if _different(asked) < min(SIZES):
            few = "one golden row" if inputs else "no golden rows"
            return Batchable(
                False, "unchecked", f"nothing shows how it answers a batch: there are {few}, and {failure}"
            )
    return _invariance(compute, terms, asked, kinds, differ, max_rows, made_up)


def _row(terms: contract.Contract, row: Golden, number: int) -> BaseModel:
    try:
        return terms.decode_one(orjson.dumps(row.input))[0]
    except errors.Invalid as problem:
        raise errors.Invalid(f"golden row {number} is not a valid input: {problem.message}") from problem


def _alone(compute: batching.Compute, terms: contract.Contract, row: BaseModel, number: int) -> Any:
    try:
        return terms.documents(compute([row]))[0]
    except (Exception, SystemExit) as cause:
        message = f"golden row {number} made the model fail: {described(cause)}"
        raise errors.ModelFailed(message, hint=hint_of(cause)) from cause


def _different(asked: Sequence[_Asked]) -> int:
    return len({one.row.model_dump_json() for one in asked})


def _ask_made_up(compute: batching.Compute, terms: contract.Contract, made_up: MadeUp) -> tuple[list[_Asked], str]:
    """The made-up rows that the model answers, and why there are no more."""
    asked: list[_Asked] = []
    failure = "no row could be made up"
    for number, given in enumerate(made_up_rows.made_up(terms.row_type, max(SIZES)), 1):
        name = f"made-up row {number}"
        made_up.asking(name)
        try:
            row = terms.decode_one(orjson.dumps(given))[0]
            answers = compute([row])
            asked.append(_Asked(row, terms.documents(answers)[0], name, is_made_up=True))
        except _ENDED as cause:
            raise EndedByMadeUpRow(f"{name} made the model fail: {described(cause)}") from cause
        except (Exception, SystemExit) as cause:  # a row that fits the schema may still mean nothing to the model
            failure = f"{name} made the model fail: {described(cause)}"
        finally:
            made_up.asking("")
    return asked, failure


def _invariance(
    compute: batching.Compute,
    terms: contract.Contract,
    asked: Sequence[_Asked],
    kinds: str,
    differ: Callable[[Any, Any], str | None],
    max_rows: int,
    made_up: MadeUp,
) -> Batchable:
    """Compare the answers in batches with those given alone."""
    for batch in _batches(asked, max_rows):
        has_made_up = any(one.is_made_up for one in batch)
        if has_made_up:
            made_up.asking(f"a batch of {len(batch)} with made-up rows")
        try:
            answers = terms.documents(compute([one.row for one in batch]))
        except (Exception, SystemExit) as cause:
            if isinstance(cause, _ENDED) and has_made_up:
                raise EndedByMadeUpRow(
                    f"a batch of {len(batch)} with made-up rows made the model fail: {described(cause)}"
                ) from cause
            return Batchable(
                False, "batch_failed", f"{len(batch)} rows in one call made the model fail: {described(cause)}"
            )
        finally:
            made_up.asking("")
        for one, answer in zip(batch, answers, strict=True):
            if difference := differ(one.alone, answer):
                detail = f"{one.name} is answered differently in a batch of {len(batch)}: {difference}"
                return Batchable(False, "not_invariant", detail)
    return Batchable(True, "invariant", f"{kinds} get the same answers in a batch as alone")


def _batches(asked: Sequence[_Asked], max_rows: int) -> Iterator[list[_Asked]]:
    for size in SIZES:
        if size <= max_rows:
            yield [asked[number % len(asked)] for number in range(size)]
    for start in range(0, len(asked), max_rows):
        chunk = list(asked[start : start + max_rows])
        if start or len(chunk) not in SIZES:  # else it was the batch of this size above
            yield chunk
