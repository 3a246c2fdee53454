"""What a service tells of itself for gates: rows, CPU seconds, labels, and the bins of its numbers."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel

import fairlead
from fairlead.contracts.answers import Page
from fairlead.contracts.profile import Profile
from fairlead.contracts.service_totals import ERROR_BOUNDS, Totals, error_place, nearest_bound
from fairlead.profile.bins import number_feature
from fairlead.serving.app import App, build_app
from fairlead.serving.observe.metrics import Metrics
from fairlead.serving.observe.service_totals import MOST_BINS, _named
from fairlead.serving.settings import Settings
from support.profiles import of_points
from support.small_models import Point, Served, ask, manifest, running

ROWS = b'[{"x": 1.0}, {"x": 30.0}]'


class Answer(BaseModel):
    """A class."""

    label: Literal["a", "b"]


class Classifier(fairlead.Model[Point, Answer]):
    """Says the kind of the point."""

    def predict(self, rows: list[Point]) -> list[Answer]:
        return [Answer(label=row.kind) for row in rows]


class Rent(BaseModel):
    """A number."""

    rent: float


class Renter(fairlead.Model[Point, Rent]):
    """Says ten."""

    def predict(self, rows: list[Point]) -> list[Rent]:
        return [Rent(rent=10.0) for _ in rows]


CLASSES = Served(model=Classifier, answer_type=Answer, golden=())
NUMBERS = Served(model=Renter, answer_type=Rent, golden=())


def app(served: Served, size: int = 1 << 20) -> App:
    return build_app(served, Settings(feedback_bytes=size))


async def told(to: App) -> Totals:
    page = Page.model_validate_json((await ask(to, "GET", "/answers?totals=true")).body)
    assert page.totals is not None
    return page.totals


def after(to: App, *labels: dict[str, Any]) -> Totals:
    async def asked() -> Totals:
        sent = [{"id": str(at), "version": "1.2.0", **one} for at, one in enumerate(labels)]
        if sent:
            assert (await ask(to, "POST", "/feedback", json.dumps({"feedback": sent}).encode())).status == 200
        return await told(to)

    return asyncio.run(asked())


def test_an_earlier_reader_gets_no_field_that_it_does_not_know() -> None:
    page = json.loads(asyncio.run(ask(app(CLASSES), "GET", "/answers")).body)
    assert "totals" not in page


def test_labels_of_classes_are_right_or_wrong() -> None:
    labels = [{"prediction": one, "truth": other} for one, other in ("aa", "ab", "ba", "bb")]
    found = after(app(CLASSES), *labels, {"prediction": "a", "truth": None})
    assert (found.labels, found.wrong, found.errors) == (5, 3, ())


def test_errors_of_numbers_are_counted_above_every_bound() -> None:
    found = after(app(NUMBERS), *[{"prediction": 10.0, "truth": truth} for truth in (10.0, 12.0, 13.0, 1e12)])
    above = dict(zip(ERROR_BOUNDS, found.errors, strict=True))
    assert (found.labels, above[1.0], above[2.0], above[5.0], above[5e9]) == (4, 3, 2, 1, 1)


def test_without_feedback_no_labels_are_known_instead_of_none() -> None:
    assert after(app(CLASSES, 0)).labels is None


def test_rows_cpu_seconds_and_bins_rise_with_what_is_answered() -> None:
    async def asked() -> tuple[Totals, Totals]:
        async with running(Served(profile=of_points()), Settings()) as to:
            before = await told(to)
            assert (await ask(to, "POST", "/predict", ROWS)).status == 200
            await ask(to, "GET", "/metrics/drift")  # counts what was kept
            return before, await told(to)

    before, found = asyncio.run(asked())
    assert found.rows - before.rows == 2
    assert found.cpu_s is not None
    assert before.cpu_s is not None
    assert found.cpu_s > before.cpu_s
    assert before.bins == {"below 0": 0, "0 to 10": 0, "10 to 20": 0, "from 20": 0, "na": 0}
    assert sum(found.bins.values()) == 2
    assert found.bins["from 20"] == 1


def test_a_model_in_processes_of_its_own_does_not_claim_to_know_its_cpu_seconds() -> None:
    isolated = Served(manifest=manifest(isolation="process"))
    assert asyncio.run(told(build_app(isolated, Settings()))).cpu_s is None


@pytest.mark.parametrize("edges", [2, 3, 8, 25])
def test_bins_are_joined_to_a_few_whose_names_say_their_edges(edges: int) -> None:
    feature = number_feature("prediction", "score", tuple(map(float, range(edges))), np.array([0.5]))
    names = _named(feature)
    assert len(names) == len(feature.bins)
    assert len(set(names)) == min(MOST_BINS, edges + 1) + 1
    assert names[0].startswith("below")
    assert names[-2].startswith("from")


def test_a_model_of_classes_has_no_bins_of_how_sure_it_is() -> None:
    profile: Profile = of_points()
    both = profile.model_copy(update={"answers": (*profile.answers, profile.answers[0])})
    assert after(app(Served(profile=both))).bins == {}


@pytest.mark.parametrize(("error", "nearest"), [(3.0, 2.0), (0.9, 1.0), (1e12, 5e9), (1e-9, 1e-6)])
def test_the_nearest_bound_is_a_bound(error: float, nearest: float) -> None:
    assert nearest_bound(error) == nearest


def test_an_error_at_a_bound_is_not_above_it() -> None:
    assert ERROR_BOUNDS[error_place(2.0)] == 2.0


def test_rows_that_the_cache_answers_are_no_rows_of_the_model() -> None:
    meter = Metrics("m", "1")
    meter.batch_computed(3, 0.1)
    meter.rows_answered(3)
    meter.rows_answered(100)  # without a call
    assert meter.used()[0] == 3
