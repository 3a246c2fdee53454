from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import BaseModel, create_model

from fairlead.contracts.images import Image
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference.file_rows import FileRows
from fairlead.serving.inputs.image_field import ImageField
from support.image_files import file, halves, text

PHOTO = Annotated[Any, ImageField(Image(), (-1, 3, 4, 8))]


def row_type(**more: Any) -> type[BaseModel]:
    return strict(create_model("Row", photo=(PHOTO, ...), **more))


def test_rows_of_files_are_the_rows_that_json_gives() -> None:
    made, given = row_type(), {"photo": text(file(halves()))}
    files = FileRows.of(made)
    assert files is not None
    found = files.rows([given])
    assert found is not None
    np.testing.assert_array_equal(*[vars(row)["photo"] for row in (*found, made.model_validate(given))])


@pytest.mark.parametrize("wrong", [{}, {"photo": "no image"}, {"photo": b"bytes"}, {"photo": 1}, {"other": ""}, "text"])
def test_a_row_that_is_invalid_is_left_to_what_says_why(wrong: object) -> None:
    files = FileRows.of(row_type())
    assert files is not None
    assert files.rows([{"photo": text(file(halves()))}, wrong]) is None


def test_a_type_with_another_field_has_no_such_rows() -> None:
    assert FileRows.of(row_type(age=(int, ...))) is None
