"""What a row is of a network, as the shapes of its tensors show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.formats.row_forms import RowForm, Shape, row_form

SIZES = st.integers(1, 5)
SHAPES = st.lists(SIZES, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("inputs", "outputs", "form"),
    [
        ([(None, 3)], [(None, 2)], RowForm.OF_A_BATCH),
        ([(None, 3), (4,)], [(None, 2)], RowForm.OF_A_BATCH),
        ([None], [(1, 2)], RowForm.OF_A_BATCH),
        ([], [(1, 2)], RowForm.OF_A_BATCH),
        ([(1, 3, None)], [(1, 2), (1,)], RowForm.A_BATCH_OF_ONE),
        ([(1, 3)], [(1, 2), None], RowForm.A_BATCH_OF_ONE),
        ([(1, 3), (2, 3)], [(1, 2)], RowForm.A_WHOLE_CALL),
        ([(1, 3)], [(None, 3)], RowForm.A_WHOLE_CALL),
        ([(1, 3), ()], [(1, 3)], RowForm.A_WHOLE_CALL),
        ([(3, 4)], [(3, 4)], RowForm.A_WHOLE_CALL),
    ],
)
def test_the_first_dimensions_say_what_a_row_is(
    inputs: list[Shape | None], outputs: list[Shape | None], form: RowForm
) -> None:
    assert row_form(inputs, outputs) is form
    assert form.is_a_call == (form is not RowForm.OF_A_BATCH)


@given(st.lists(SHAPES, min_size=1, max_size=4), st.lists(SHAPES, min_size=1, max_size=4))
def test_a_network_without_open_dimensions_is_called_with_all_that_it_states(
    inputs: list[Shape], outputs: list[Shape]
) -> None:
    form = row_form(inputs, outputs)
    assert form.is_a_call
    for shape in inputs:
        first, *row = form.in_batches(shape)
        assert first is None
        assert tuple(row) == shape or (1, *row) == shape
