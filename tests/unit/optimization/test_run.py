from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.optimization.run import Evidence, optimize
from fairlead.optimization.verdict import Bounds
from fairlead.optimization.writing import Steps
from unit.serving.formats.test_tensor_classes import made


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    original = made(tmp_path / "m")
    (tmp_path / "file").touch()
    with pytest.raises(errors.Invalid, match="cannot be written: .*Not a directory") as refused:
        optimize(original, tmp_path / "file" / "new" / "1.0.1", Steps(), Evidence(), Bounds(), print)
    assert refused.value.hint == "Choose another folder."
