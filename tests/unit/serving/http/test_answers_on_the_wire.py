"""Answers are what their type says about serialization, in every protocol and in the schema, or the model failed."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    PlainSerializer,
    RootModel,
    computed_field,
    create_model,
    field_serializer,
    model_serializer,
)

import fairlead
from fairlead.serving.formats.golden import GoldenRow
from support.small_models import Served, ask, manifest, running
from unit.serving.http.flowers import PREDICT, V1, V2, send

OPENAPI, METADATA = "/openapi.json", "/v2/models/flowers"


class Given(BaseModel):
    """A row with names of its own in JSON."""

    width: float = Field(alias="Width")
    count: int = Field(default=0, validation_alias=AliasChoices("n", "count"))


class Part(BaseModel):
    inner: float = Field(serialization_alias="Inner")


class Renamed(BaseModel):
    """Uses everything that pydantic has for writing."""

    width: float = Field(alias="Width", serialization_alias="breadth")
    grade: float
    part: Part
    secret: int = Field(default=1, exclude=True)
    rounded: Annotated[float, PlainSerializer(lambda value: round(value, 1), return_type=float)] = 0.25

    @field_serializer("grade")
    def _as_text(self, grade: float) -> str:
        return f"{grade} %"

    @computed_field(alias="Double")  # type: ignore[prop-decorator]
    @property
    def double(self) -> float:
        return 2 * self.width


class AsTable(BaseModel):
    """Is written as a dictionary."""

    width: float

    @model_serializer
    def _as_table(self) -> dict[str, float]:
        return {f"w{self.width}": self.width}


class Numbers(RootModel[list[float]]):
    """A list."""


class Table(RootModel[dict[str, float]]):
    """A dictionary."""


def model(row: type[BaseModel], answer: type[BaseModel], answered: Any, golden: Any = ()) -> Served:
    """A model that returns `answered(row)` for each row."""

    class Says(fairlead.Model[BaseModel, BaseModel]):
        def predict(self, rows: list[Any]) -> list[Any]:
            return [answered(row) for row in rows]

    return Served(Says, row, answer, golden, manifest(name="flowers"))


def fetched(served: Served, path: str) -> Any:
    return json.loads(send(served, path, b"", method="GET").body)


def by_every_protocol(served: Served, row: Any) -> list[Any]:
    """The answers to one row in each form. As tensors it is sent as the metadata say, and read as they say."""
    metadata = fetched(served, METADATA)
    inputs = []
    for one in metadata["inputs"]:
        value = row if one["name"] == "row" else row[one["name"]]
        data = [json.dumps(value) if "parameters" in one else value]
        inputs.append({"name": one["name"], "datatype": one["datatype"], "shape": [1], "data": data})
    replies = [
        json.loads(send(served, path, body).body)
        for path, body in ((PREDICT, [row]), (V1, {"instances": [row]}), (V2, {"inputs": inputs}))
    ]
    is_json = {one["name"]: "parameters" in one for one in metadata["outputs"]}
    columns = {
        one["name"]: json.loads(one["data"][0]) if is_json[one["name"]] else one["data"][0]
        for one in replies[2]["outputs"]
    }
    return [replies[0][0], replies[1]["predictions"][0], columns.get("answer", columns)]


RENAMED = {"breadth": 1.5, "grade": "3.0 %", "part": {"Inner": 0.5}, "rounded": 0.2, "Double": 3.0}


@pytest.mark.parametrize(
    ("row", "given", "answer", "answered", "document"),
    [
        (
            Given,
            {"Width": 1.5, "n": 3},
            Renamed,
            lambda row: Renamed(Width=row.width, grade=row.count, part=Part(inner=0.5)),
            RENAMED,
        ),
        (Given, {"Width": 1.5, "n": 3}, AsTable, lambda row: AsTable(width=row.width), {"w1.5": 1.5}),
        (Numbers, [1.5, 2], Numbers, lambda row: Numbers(row.root), [1.5, 2.0]),
        (Table, {"a": 1.5}, Table, lambda row: Table(row.root), {"a": 1.5}),
        (RootModel[Part], {"inner": 1.5}, RootModel[Part], lambda row: RootModel[Part](row.root), {"Inner": 1.5}),
    ],
    ids=["names and serializers", "a model serializer", "a list", "a dictionary", "a model inside"],
)
def test_an_answer_is_the_same_document_in_every_protocol(
    row: Any, given: Any, answer: Any, answered: Any, document: Any
) -> None:
    assert by_every_protocol(model(row, answer, answered), given) == [document] * 3


def test_the_schema_of_an_answer_has_its_names_and_types() -> None:
    served = model(Given, Renamed, lambda row: Renamed(Width=row.width, grade=1, part=Part(inner=1)))
    stated = fetched(served, OPENAPI)["components"]["schemas"]["Renamed"]
    kinds = {name: part.get("type", "object") for name, part in stated["properties"].items()}
    assert kinds == {"breadth": "number", "grade": "string", "part": "object", "rounded": "number", "Double": "number"}
    assert sorted(stated["required"]) == sorted(RENAMED.keys() - {"rounded"})  # it has a default


def test_golden_rows_have_the_names_of_the_wire() -> None:
    golden = (GoldenRow({"Width": 1.5, "n": 3}, RENAMED),)
    served = model(Given, Renamed, lambda row: Renamed(Width=row.width, grade=row.count, part=Part(inner=0.5)), golden)
    assert send(served, "/readyz", b"", method="GET").status == 200


def test_a_row_and_an_answer_of_one_name_have_a_schema_each() -> None:
    class Given(BaseModel):
        answer: int

    served = model(globals()["Given"], Given, lambda row: Given(answer=1))
    text = send(served, OPENAPI, b"", method="GET").body.decode()
    schemas = json.loads(text)["components"]["schemas"]
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in schemas


def test_a_body_that_is_a_list_is_a_list_of_rows_also_if_a_row_is_a_list() -> None:
    served = model(Numbers, Numbers, lambda row: row)
    schema = fetched(served, OPENAPI)["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert schema["type"] == "array"
    assert send(served, PREDICT, [1.5, 2]).status == 422


class Plain(BaseModel):
    """Fields that an answer made without validation may have wrong."""

    text: str = "a"
    number: float = 1.0
    whole: int = 1
    label: Literal["a", "b"] = "a"
    maybe: Literal["a"] | None = None
    money: Decimal = Decimal(1)
    blob: bytes = b"a"
    anything: Any = None
    many: list[float] = []
    labels: list[Literal["a", "b"]] = []
    part: Part | None = None


NOTHING: dict[str, Any] = {}


class Word(str):
    """A text of a class of its own."""

    __slots__ = ()


class Row(dict[str, float]):
    """A dictionary of a class of its own."""


class Colour(Enum):
    RED = "red"


WRONG: dict[str, list[Any]] = {
    "text": [1, "\ud800", b"\xff"],
    "number": ["1", float("nan"), float("inf"), np.float32("nan"), None],
    "whole": [1.5, "1", np.float64(2)],
    "label": ["c", 1],
    "labels": [["c"], ["a", 1], [None]],
    "maybe": ["b"],
    "money": [Decimal("NaN"), 1.5],
    "blob": [b"\xff", 1],
    "anything": [
        np.zeros(2),
        np.float32(1),
        "\ud800",
        float("nan"),
        {"deep": [float("inf")]},
        Decimal("NaN"),
        object(),
    ],
    "many": [["1"], [float("nan")], [None], 1.0],
    "part": [{"inner": 1.0}, Part.model_construct(**NOTHING), Word("a"), Colour.RED, Row({"inner": 1.0})],
}


def reasons(served: Served, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons that the log gives for a request of each protocol that failed. The clients get none."""
    inputs = [{"name": "inner", "datatype": "FP64", "shape": [1], "data": [1.0]}]
    bodies: dict[str, Any] = {PREDICT: {"inner": 1}, V1: {"instances": [{"inner": 1}]}, V2: {"inputs": inputs}}

    async def ask_each() -> None:
        async with running(served) as app:
            for path, body in bodies.items():
                reply = await ask(app, "POST", path, json.dumps(body).encode())
                kind = json.loads(reply.body).get("type")
                assert (reply.status, kind) == (500, "urn:fairlead:problem:model-failed"), reply

    asyncio.run(ask_each())
    found = [record.getMessage() for record in caplog.records if record.getMessage().startswith("request failed")]
    assert len(found) == len(bodies)
    return found


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_an_answer_that_was_not_validated_and_is_wrong_is_a_failure_that_names_the_field(
    field: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    served = model(Part, Plain, lambda _: Plain.model_construct(**{field: value}))
    assert all(f"field '{field}" in reason for reason in reasons(served, caplog))


@pytest.mark.parametrize("kind", [Literal[1], Literal[True], Literal[1, "a"], Literal[1] | None, Literal[0, 1]])
@pytest.mark.parametrize("value", [1, True, 1.0, np.float64(1), np.int64(1), Decimal(1)])
def test_an_answer_is_one_of_its_values_only_if_it_is_the_same_in_json(
    kind: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = create_model("Answer", one=(kind, ...))
    served = model(Part, answer, lambda _: answer.model_construct(one=value))
    if type(value) is (bool if kind == Literal[True] else int):
        assert by_every_protocol(served, {"inner": 1.0}) == [{"one": value}] * 3
    else:
        assert all("in field 'one', whose type has no such value" in reason for reason in reasons(served, caplog))


def test_an_answer_without_a_field_is_a_failure_that_names_it(caplog: pytest.LogCaptureFixture) -> None:
    served = model(Part, Part, lambda _: Part.model_construct(**NOTHING))
    assert all("without field 'inner'" in reason for reason in reasons(served, caplog))


def test_an_answer_outside_the_limits_of_its_field_is_a_failure_that_names_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = create_model("Answer", share=(float, Field(ge=0, le=1)))
    served = model(Part, answer, lambda _: answer.model_construct(share=1.5))
    said = "in field 'share', whose type has no such value: Input should be less than or equal to 1"
    assert all(said in reason for reason in reasons(served, caplog))


def test_numbers_of_numpy_are_written_as_the_numbers_that_they_are() -> None:
    numbers: dict[str, Any] = {"number": np.float64(0.5), "whole": np.int64(3)}
    served = model(Part, Plain, lambda _: Plain.model_construct(**numbers))
    found = json.loads(send(served, PREDICT, {"inner": 1}).body)
    assert (found["number"], found["whole"]) == (0.5, 3)


def test_a_computed_field_that_is_nan_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    class Ratio(BaseModel):
        part: float

        @computed_field  # type: ignore[prop-decorator]
        @property
        def ratio(self) -> float:
            return self.part * float("inf")

    served = model(Part, Ratio, lambda _: Ratio(part=0.0))
    assert all("NaN or infinity in field 'ratio'" in reason for reason in reasons(served, caplog))


def test_what_a_serializer_raises_is_a_failure_of_the_model(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(BaseModel):
        part: float

        @field_serializer("part")
        def _write(self, part: float) -> str:
            raise ValueError("boom")

    complaint = "field 'part' has a serializer or a property that raised an exception"
    served = model(Part, Broken, lambda _: Broken(part=1.0))
    assert all(complaint in reason for reason in reasons(served, caplog))
