from __future__ import annotations

from typing import get_args

import pytest

from fairlead import errors
from fairlead.contracts.manifest import Format
from fairlead.serving.formats import base
from fairlead.serving.formats.folder import FORMATS


def test_a_missing_library_says_what_to_install() -> None:
    with pytest.raises(errors.Unavailable, match="format 'x' needs the Python module 'absent_library'") as caught:
        base.library("absent_library", extra="sklearn", needed_for="format 'x'")
    assert "pip install -e '.[sklearn]'" in (caught.value.hint or "")


def test_every_format_that_a_manifest_may_name_has_an_adapter() -> None:
    assert set(FORMATS) == set(get_args(Format))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_implements_the_protocol(name: str) -> None:
    adapter: base.Format = FORMATS[name]
    assert callable(adapter.read)
    assert callable(adapter.write)
