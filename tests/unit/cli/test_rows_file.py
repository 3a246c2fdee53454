"""The rows that `fairlead calibrate` and `fairlead optimize` read from a file or a folder of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from fairlead import errors
from fairlead.calibration import run
from fairlead.cli import rows_file
from fairlead.serving.formats import folder
from fairlead.serving.reference.data import Photos
from support import image_models as images

MANY = run.MOST_BODIES + 500


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Photos:
    """The rows of a folder with many photos."""
    for number in range(MANY):
        (tmp_path / f"{number}.png").touch()
    monkeypatch.setattr(folder, "load_folder", lambda *_, **__: images.served())
    return cast(Photos, rows_file.read(Path("m"), tmp_path))


def test_no_photo_of_a_large_folder_is_read_before_its_row_is_asked_for(photos: Photos) -> None:
    for file in photos.files[5:]:
        file.unlink()
    assert len(photos) == MANY
    assert len(list(photos[:5])) == 5
    with pytest.raises(errors.Invalid, match="cannot be read"):
        photos[5]


@pytest.mark.parametrize(("size", "read"), [(1, run.MOST_BODIES), (8, run.MOST_BODIES + 7)])
def test_calibrate_reads_the_photos_that_it_sends_and_no_others(photos: Photos, size: int, read: int) -> None:
    for file in photos.files[read:]:
        file.unlink()
    asked = run.Asked(10.0, rows=photos, rows_per_request=size)
    service: Any = None  # it is asked for golden rows where there are no others
    assert len(run._bodies(asked, service)) == run.MOST_BODIES


def test_a_line_of_json_may_have_any_letter_and_empty_lines_are_no_rows(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "a\u2028b"}\n\n{"text": "c"}\n', encoding="utf-8")
    assert rows_file.read(tmp_path, data) == [{"text": "a\u2028b"}, {"text": "c"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"x": 1}\n{"x": NaN}\n', "rows.jsonl:2 .*NaN"), ("{\n", "rows.jsonl:1 "), ("[" * 9000, "nested too deeply")],
)
def test_a_line_that_is_no_json_is_named(tmp_path: Path, text: str, said: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(text)
    with pytest.raises(errors.Invalid, match=said):
        rows_file.read(tmp_path, data)
