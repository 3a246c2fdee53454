"""Where `exact_types` says that an answer has the right types, pydantic's own check finds nothing either."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, PlainSerializer, TypeAdapter, computed_field, create_model

from fairlead.serving.formats import exact_types, generated_check


class Part(BaseModel):
    share: float = Field(ge=0, le=1)
    note: str | None = None


class Node(BaseModel):
    inner: list[Node] = []


class Loose(BaseModel, extra="allow"):
    x: float


class Total(BaseModel):
    x: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> float:
        return 2 * self.x


KNOWN: tuple[tuple[Any, Any], ...] = (
    *((str, "a"), (int, 1), (float, 0.5), (bool, True), (None, None), (float | None, None), (float | None, 0.5)),
    *((Literal["a", "b"], "b"), (Literal[1, 2], 1), (list[float], [0.5]), (list[list[int]], [[], [1]])),
    *((dict[str, float], {"a": 0.5}), (dict[str, list[str]], {"a": ["b"]})),
    *((Part, Part(share=0.5)), (list[Part], [Part(share=0)]), (Part | None, Part(share=0.5)), (Part | None, None)),
    *((Annotated[float, Field(ge=0)], 0.5), (Annotated[int, AfterValidator(abs)], 1)),
    (Node, Node(inner=[Node()])),
)
"""Types, each with a value of it."""
UNKNOWN: tuple[Any, ...] = (
    *(Loose, Total, Any, bytes, float | str, Literal["a", 1], list, dict, set[int], tuple[int, str]),
    Annotated[float, PlainSerializer(str, return_type=str)],
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["a", "b", "c", b"a", np.float64(1.5), np.int64(1), Part(share=0.5), Node()]),
        st.builds(Part.model_construct, share=st.sampled_from([0.5, 1, "x"])),
        st.builds(Part.model_construct, note=st.none()),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", 1]), inner, max_size=3),
    max_leaves=6,
)


def checker(answer_type: type[BaseModel]) -> generated_check.Check | None:
    return exact_types.checker(TypeAdapter(answer_type).core_schema)


@given(
    kinds=st.lists(st.sampled_from([kind for kind, _ in KNOWN] + list(UNKNOWN)), min_size=1, max_size=4), data=st.data()
)
def test_an_answer_of_exact_types_is_written_without_a_warning(kinds: list[Any], data: st.DataObject) -> None:
    fields: dict[str, Any] = {f"f{at}": (kind, ...) for at, kind in enumerate(kinds)}
    values: dict[str, Any] = {name: data.draw(VALUES) for name in fields}
    answer_type = create_model("Answer", **fields)
    answer = answer_type.model_construct(**values)
    is_exact = checker(answer_type)
    if is_exact is not None and is_exact(answer):
        serializer = TypeAdapter(answer_type).serializer
        assert serializer.to_json(answer, warnings="error") == serializer.to_json(answer)


@pytest.mark.parametrize(("kind", "value"), KNOWN, ids=str)
def test_an_answer_of_an_ordinary_type_has_exact_types(kind: Any, value: Any) -> None:
    answer_type = create_model("Answer", value=(kind, ...))
    is_exact = checker(answer_type)
    assert is_exact is not None
    assert is_exact(answer_type(value=value))


@pytest.mark.parametrize("kind", UNKNOWN, ids=str)
def test_pydantic_decides_where_equal_types_are_not_enough(kind: Any) -> None:
    assert checker(create_model("Answer", value=(kind, ...))) is None


def test_an_answer_without_a_field_has_not_the_right_types() -> None:
    is_exact = checker(Part)
    assert is_exact is not None
    lacking = Part.model_construct(note=None)  # type: ignore[call-arg]
    assert not is_exact(lacking)


def test_an_answer_of_a_subclass_has_not_the_right_types() -> None:
    class More(Part):
        secret: str = "s"

    is_exact = checker(Part)
    assert is_exact is not None
    assert not is_exact(More(share=0.5))
    assert not is_exact(None)
