from __future__ import annotations

import datetime
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, create_model

from fairlead.serving.formats.strict import strict
from fairlead.serving.inference.process.codec import Codec, loads


class Leaf(BaseModel):
    size: int = 1
    label: str | None = None


class Tree(BaseModel):
    leaves: list[Leaf] = Field(default_factory=list)
    named: dict[str, Leaf] = Field(default_factory=dict)
    sub: Tree | None = None
    when: datetime.date | None = None


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    _seen: int = PrivateAttr(default=0)


class Sizes(RootModel[list[int]]):
    pass


ROW = strict(Tree)
DECLARED = create_model("Answer", total=(Annotated[float, Field(ge=0)], ...))
CODEC = Codec("test", ROW, DECLARED, Loose, Sizes)

leaves: st.SearchStrategy[dict[str, Any]] = st.builds(dict, size=st.integers(-5, 5)) | st.builds(
    dict, label=st.none() | st.text()
)
trees: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.fixed_dictionaries({}, optional={"leaves": st.lists(leaves), "named": st.dictionaries(st.text(), leaves)}),
    lambda inner: st.fixed_dictionaries({"sub": st.none() | inner}),
    max_leaves=5,
)


@given(documents=st.lists(trees))
def test_rows_come_back_equal_with_their_strict_types_and_given_fields(documents: list[dict[str, Any]]) -> None:
    rows = [ROW.model_validate(document) for document in documents]
    back = loads(CODEC.dumps(rows))
    assert back == rows
    assert [row.model_dump(exclude_unset=True) for row in back] == [row.model_dump(exclude_unset=True) for row in rows]
    for one, other in zip(back, rows, strict=True):
        assert type(one) is type(other)
        assert isinstance(one, Tree)
        assert isinstance(other, Tree)
        assert [type(leaf) for leaf in one.leaves] == [type(leaf) for leaf in other.leaves]


def test_a_type_that_no_module_has_comes_back() -> None:
    assert loads(CODEC.dumps([DECLARED(total=2)])) == [DECLARED(total=2)]


def test_extra_fields_private_attributes_and_root_values_come_back() -> None:
    loose = Loose(more=1)
    loose._seen = 3
    back, sizes = loads(CODEC.dumps([loose, Sizes([1, 2])]))
    assert (back.more, back._seen, sizes.root) == (1, 3, [1, 2])


def test_a_type_whose_author_wrote_how_it_is_pickled_is_pickled_that_way() -> None:
    assert type(loads(Codec("own", Own).dumps(Own(size=3)))) is Leaf


class Own(Leaf):
    def __reduce__(self) -> Any:
        return Leaf, ()


def test_an_object_that_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises(Exception, match="pickle"):
        CODEC.dumps([lambda: 1])
