"""The counts of failed predictions are bounded and have no input in them."""

from __future__ import annotations

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.answers import MAX_PROBLEM, MAX_PROBLEMS
from fairlead.serving.app import build_app
from fairlead.serving.observe.problem_counts import ProblemCounts
from support.small_models import Adder, Point, Served, Sum, ask, running


@given(st.lists(st.tuples(st.integers(400, 599), st.text(max_size=300)), max_size=60))
def test_however_many_problems_there_are_the_counts_are_few_short_and_complete(
    problems: list[tuple[int, str]],
) -> None:
    counted = ProblemCounts()
    for status, sentence in problems:
        counted.add(status, sentence)
    found = counted.counts()
    assert sum(found.values()) == len(problems)
    assert len(found) <= MAX_PROBLEMS
    assert all(len(name) <= MAX_PROBLEM for name in found)


class Divides(Adder):
    def predict(self, rows: list[Point]) -> list[Sum]:
        for row in rows:
            if row.n == 4242:
                raise ZeroDivisionError(f"{row.n} is secret")
        return super().predict(rows)


GOOD = {"x": 1.0, "y": 2.0, "n": 3, "kind": "b"}


def test_failed_predictions_are_counted_by_field_or_exception_without_values_of_the_input() -> None:
    async def check() -> None:
        async with running(Served(model=Divides)) as app:
            for row in (GOOD, {**GOOD, "x": "secret"}, {**GOOD, "x": "secret"}, {**GOOD, "n": 4242}):
                await ask(app, "POST", "/predict", json.dumps(row).encode())
            await ask(app, "GET", "/nowhere")
            page = json.loads((await ask(app, "GET", "/answers?problems=true")).body)
            assert "problems" not in json.loads((await ask(app, "GET", "/answers")).body), (
                "an earlier reader refuses it"
            )
        assert "secret" not in str(page)
        (rejected, raised) = page["problems"].items()
        assert rejected == ("422 body.x: Input should be a valid number", 2)
        assert raised[0].startswith("500 ZeroDivisionError at test_problem_counts.py:")

    asyncio.run(check())


def test_a_service_without_failures_has_none() -> None:
    assert build_app(Served(model=Adder)).answers.page("", 0).problems == {}
