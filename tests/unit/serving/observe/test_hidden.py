"""What is hidden of rows and answers, in whatever way their types are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, model_serializer

from fairlead import errors
from fairlead.serving.formats.strict import strict
from fairlead.serving.observe.hidden import Hidden


class Person(BaseModel):
    """Somebody who lives somewhere."""

    name: str
    street: str = Field(validation_alias="street_in", serialization_alias="street_out")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def label(self) -> str:
        """It repeats both."""
        return f"{self.name}, {self.street}"


class Score(BaseModel):
    """A closed answer."""

    score: float


class Open(BaseModel):
    """An answer that may have anything."""

    model_config = ConfigDict(extra="allow")


class Computed(Score):
    """An answer that computes a field."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def street(self) -> str:
        """Where it is."""
        return "Elm 1"


ADA: Any = {"name": "Ada", "street_in": "Elm 1"}


def rows(redact: list[str], hashed: list[str], answer_type: type[BaseModel] = Score) -> Any:
    return Hidden(strict(Person), answer_type, redact, hashed).rows([strict(Person).model_validate(ADA)])


def answers(answer: BaseModel, redact: list[str], hashed: list[str] | None = None) -> Any:
    hidden = Hidden(strict(Person), type(answer), redact, hashed or [])
    return json.loads(hidden.answers(f"[{answer.model_dump_json(by_alias=True)}]".encode()))


def test_a_recorded_row_has_the_fields_that_a_client_can_send_and_no_computed_one() -> None:
    [row] = rows([], [])
    assert row == ADA
    assert strict(Person).model_validate(row)


def test_a_computed_field_of_a_row_does_not_show_what_is_redacted() -> None:
    assert rows(["street"], []) == [{"name": "Ada"}]


@pytest.mark.parametrize("name", ["street", "street_in", "street_out"])
def test_an_answer_of_any_shape_that_repeats_a_redacted_field_by_any_of_its_names_is_written_without_it(
    name: str,
) -> None:
    assert answers(Open.model_validate({name: "Elm 1", "score": 1.0}), ["street"]) == [{"score": 1.0}]


def test_a_computed_field_of_an_answer_is_redacted() -> None:
    assert answers(Computed(score=1.0), ["street"]) == [{"score": 1.0}]


def test_a_computed_text_of_an_answer_is_hashed() -> None:
    [found] = answers(Computed(score=1.0), [], ["street"])
    assert found["street"] != "Elm 1"


def test_what_is_hidden_of_a_row_is_said_by_the_name_that_clients_send() -> None:
    assert Hidden(strict(Person), Score, ["street"], []).described == {"street_in": "redacted"}


def test_every_name_that_an_open_answer_may_repeat_is_said_to_be_hidden() -> None:
    said = Hidden(strict(Person), Open, ["street"], []).described
    assert said == dict.fromkeys(("street", "street_in", "street_out"), "redacted")


class Plain(BaseModel):
    """It writes itself as a whole."""

    street: str

    @model_serializer
    def written(self) -> dict[str, Any]:
        """Under another name."""
        return {"where": self.street}


class Wrapped(BaseModel):
    """It adds a key to what is written."""

    street: str

    @model_serializer(mode="wrap")
    def written(self, written: Any) -> dict[str, Any]:
        """With the street once more."""
        return {**written(self), "where": self.street}


class Texts(RootModel[dict[str, str]]):
    """It has no fields."""


class Street(BaseModel):
    """An answer with a street."""

    street: str


@pytest.mark.parametrize("kind", [Plain, Wrapped, Texts])
def test_nothing_can_be_hidden_of_rows_that_write_themselves_as_a_whole(kind: type[BaseModel]) -> None:
    with pytest.raises(errors.Invalid, match=f"'street' cannot be hidden: {kind.__name__}") as raised:
        Hidden(strict(kind), Street, ["street"], [])
    assert raised.value.hint


def test_rows_that_write_themselves_are_recorded_where_nothing_is_hidden() -> None:
    texts = strict(Texts).model_validate({"a": "b"})
    assert Hidden(strict(Texts), Score, [], []).rows([texts]) == [{"a": "b"}]
