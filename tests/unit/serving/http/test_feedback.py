"""`POST /feedback`: which labels are counted, and what a client is told of the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

import fairlead
from fairlead import errors
from fairlead.contracts import drift_telemetry
from fairlead.serving.app import App, build_app
from fairlead.serving.observe.exposition import Exposition
from fairlead.serving.observe.feedback import MAX_LABELS, Checked, Feedback, Label
from fairlead.serving.observe.judged import Judged
from fairlead.serving.observe.shared_memory import SharedMemory
from fairlead.serving.settings import Settings
from support.profiles import samples
from support.small_models import Point, Reply, Served, ask

BYTES = 1 << 20
NOW = 1_800_000_000.0
HOUR = 3600.0


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


class Vague(BaseModel):
    """Nothing that can be compared."""

    values: list[float]


CLASSES = Served(model=Classifier, answer_type=Answer, golden=())


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def app(served: Served = CLASSES, size: int = BYTES) -> App:
    return build_app(served, Settings(feedback_bytes=size))


def label(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"id": f"request-{number}", "version": "1.2.0", "prediction": "a", "truth": "b"} | changes


def send(to: App, *labels: Any, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
    content = json.dumps({"feedback": labels}).encode() if body is None else body
    reply: Reply = run(ask(to, "POST", "/feedback", content, headers))
    return reply


def metrics(of: App) -> dict[tuple[str, tuple[str, ...]], float]:
    return samples(run(ask(of, "GET", "/metrics/drift")).body.decode())


def counting(clock: float = NOW, kind: type[BaseModel] = Answer, **changes: Any) -> Feedback:
    memory = SharedMemory(common=BYTES)
    of = Settings(feedback_bytes=BYTES, **changes)
    return Feedback("1.2.0", Judged(kind, None), Exposition("adder", "1.2.0"), memory, of, lambda: clock)


def counted(by: Feedback, *given_: dict[str, Any]) -> dict[str, int]:
    return dict(by.count(by.check([Label.model_validate(one) for one in given_])))


def test_labels_are_counted_by_the_class_that_was_predicted_and_the_true_one() -> None:
    to = app()
    sent = [label(0), label(1, truth="a"), label(2, prediction={"label": "b"}, truth=None), label(3, row=1)]
    reply = send(to, *sent)
    assert (reply.status, json.loads(reply.body)) == (200, {"counted": 4, "late": 0, "double": 0, "unknown": 0})
    found = {key[1]: value for key, value in metrics(to).items() if key[0] == "feedback_outcomes_total" and value}
    assert found == {("a", "b", "false"): 2, ("a", "a", "true"): 1, ("b", "other", "false"): 1}


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (Answer, {"feedback_numbers", "feedback_absolute_errors", "feedback_squared_errors"}),
        (Rent, {"feedback_outcomes"}),
    ],
)
def test_exactly_the_declared_families_are_exposed(kind: type[BaseModel], left_out: set[str]) -> None:
    exposed = {one.name: one for one in text_string_to_metric_families(counting(kind=kind).text().decode())}
    named = {one.name.removesuffix("_total"): one for one in drift_telemetry.MODEL_FEEDBACK}
    declared = {name: one for name, one in named.items() if name.removeprefix("fairlead_model_") not in left_out}
    assert list(exposed) == list(declared)
    for name, metric in declared.items():
        assert (exposed[name].type, exposed[name].documentation) == (metric.kind, metric.help)
        assert {tuple(one.labels) for one in exposed[name].samples} <= {metric.labels, (*metric.labels, "le")}


def test_a_label_makes_no_new_series() -> None:
    to = app()
    before = metrics(to)
    for number in range(3):
        send(to, label(number), label(number, version=f"9.{number}"), label(number, truth="nonsense"))
        send(to, label(number), label(number, version=f"9.{number}"))
    assert metrics(to).keys() == before.keys()


def test_a_label_that_comes_again_is_not_counted_again() -> None:
    to = app()
    assert json.loads(send(to, label(1), label(1)).body)["double"] == 1
    assert json.loads(send(to, label(1), label(1, row=1)).body) == {"counted": 1, "late": 0, "double": 1, "unknown": 0}
    assert metrics(to)["feedback_labels_total", ("double",)] == 2


def test_a_label_of_another_version_is_unknown_whatever_it_says() -> None:
    to = app()
    assert json.loads(send(to, label(1, version="9", truth=17)).body)["unknown"] == 1


@pytest.mark.parametrize(
    ("wrong", "place", "why"),
    [
        ({"truth": "c"}, "truth", "is no class of this model; there are a, b; null means that none of them is true"),
        ({"prediction": 7}, "prediction", "is no class of this model; there are a, b"),
        ({"answered_at": "2999-01-01T00:00:00Z"}, "answered_at", "is in the future"),
        ({"answered_at": "2020-01-01T00:00:00"}, "answered_at", "Input should have timezone info"),
        ({"id": ""}, "id", "String should have at least 1 character"),
        ({"row": -1}, "row", "Input should be greater than or equal to 0"),
        ({"sure": True}, "sure", "Extra inputs are not permitted"),
    ],
)
def test_a_bad_label_is_a_422_with_its_place_and_nothing_of_the_request_is_counted(
    wrong: dict[str, Any], place: str, why: str
) -> None:
    to = app()
    reply = send(to, label(1), label(2, **wrong))
    (found,) = json.loads(reply.body)["errors"]
    assert (reply.status, found["loc"], found["msg"]) == (422, ["body", "feedback", 1, place], why)
    assert {key[1]: value for key, value in metrics(to).items() if key[0] == "feedback_labels_total" and value} == {
        ("bad",): 1
    }
    assert json.loads(send(to, label(1), label(2)).body)["counted"] == 2


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 422),
        (b"[]", {}, 422),
        (b'{"feedback": []}', {}, 422),
        (b"{}", {"content-type": "text/csv"}, 415),
        (b"{}", {"content-type": "", "origin": "https://elsewhere.example"}, 415),
        (b"x" * (2 << 20), {}, 413),
        (b"x", {"content-encoding": "br"}, 415),
        (b"x", {"content-encoding": "gzip"}, 400),
    ],
)
def test_a_body_that_is_no_feedback_is_a_4xx(body: bytes, headers: dict[str, str], status: int) -> None:
    assert send(app(), body=body, headers=headers).status == status


def test_a_body_full_of_unknown_fields_is_answered_with_one_error_for_each_label() -> None:
    unknown = {f"field-{number}": 1 for number in range(50)}
    reply = send(app(), *[label(number, **unknown) for number in range(MAX_LABELS)])
    assert (reply.status, len(json.loads(reply.body)["errors"])) == (422, MAX_LABELS)


def test_more_labels_than_a_request_may_have_are_refused() -> None:
    assert send(app(), *[label(number) for number in range(MAX_LABELS + 1)]).status == 422


def test_a_service_without_memory_for_keys_takes_no_feedback_and_says_how_it_would() -> None:
    to = build_app(CLASSES, Settings())
    reply = send(to, label())
    assert reply.status == 404
    assert "FAIRLEAD_SERVING_FEEDBACK_BYTES" in json.loads(reply.body)["detail"]
    assert not any("feedback" in name for name, _ in metrics(to))
    assert "/feedback" not in to.api.openapi()["paths"]


def test_the_path_is_documented_where_it_is_there() -> None:
    schema = app().api.openapi()["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]["feedback"]["items"]["properties"]) == set(Label.model_fields)


def test_a_model_whose_answers_cannot_be_compared_is_not_served_with_feedback() -> None:
    with pytest.raises(errors.Invalid, match="neither a class nor a single number"):
        app(Served(answer_type=Vague))


def test_a_label_that_comes_too_late_is_not_counted() -> None:
    by = counting(feedback_within_s=int(HOUR))
    within, late = (datetime.fromtimestamp(NOW - age, UTC) for age in (HOUR, HOUR + 1))
    assert counted(by, label(1, answered_at=within), label(2, answered_at=late)) == {
        "counted": 1, "late": 1, "double": 0
    }  # fmt: skip
    found = samples(by.text().decode())
    assert found["feedback_lag_seconds_sum", ()] == HOUR
    assert found["feedback_lag_seconds_count", ()] == 1
    assert (found["feedback_lag_seconds_bucket", ("600",)], found["feedback_lag_seconds_bucket", ("3600",)]) == (0, 1)


def test_a_clock_that_is_a_little_ahead_is_no_fault() -> None:
    by = counting()
    assert counted(by, label(answered_at=NOW + 60))["counted"] == 1
    assert samples(by.text().decode())["feedback_lag_seconds_sum", ()] == 0


numbers = st.floats(-1e6, 1e6)


@settings(max_examples=40)
@given(st.lists(st.tuples(numbers, numbers), max_size=30))
def test_errors_of_numbers_are_those_of_numpy(pairs: list[tuple[float, float]]) -> None:
    by = counting(kind=Rent)
    sent = [label(at, prediction=said, truth=true) for at, (said, true) in enumerate(pairs)]
    counted(by, *sent)
    found = samples(by.text().decode())
    difference = np.array([said - true for said, true in pairs])
    assert found["feedback_numbers_total", ()] == len(pairs)
    assert found["feedback_absolute_errors_total", ()] == pytest.approx(np.abs(difference).sum(), rel=1e-9)
    assert found["feedback_squared_errors_total", ()] == pytest.approx((difference**2).sum(), rel=1e-9)


def test_predictions_of_an_open_set_are_right_or_wrong() -> None:
    class Open(BaseModel):
        label: str

    by = counting(kind=Open)
    by.count([Checked(f"{at}", "1.2.0", None, said, "x") for at, said in enumerate("xyx")])
    found = samples(by.text().decode())
    assert found["feedback_outcomes_total", ("other", "other", "true")] == 2
    assert found["feedback_outcomes_total", ("other", "other", "false")] == 1
