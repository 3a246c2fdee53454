"""What `fairlead profile` prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.cli.commands.profile import Action, command
from fairlead.contracts.profile import of_text
from fairlead.contracts.quality import NumberQuality
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.observe.drift_text import DriftText
from fairlead.serving.observe.hidden import Hidden
from fairlead.serving.reference.recorded import rows_of
from support import folders

CHATTY = folders.DOUBLER.replace("        return", '        print("a library says hello")\n        return')


def data(path: Path, count: int = 50) -> Path:
    file = path / "held-out.csv"
    file.write_text("value\n" + "".join(f"{number}\n" for number in range(count)))
    return file


def run(action: Action, folder: Path, file: Path | None = None, out: Path | None = None, **options: object) -> None:
    names = ("edges_from", "feature", "labels", "slices", "as_json")
    edges_from, only, labels, slices, as_json = (options.get(name) for name in names)
    command(
        action,
        folder,
        file,
        recorded=options.get("recorded"),  # type: ignore[arg-type]
        first=options.get("first"),  # type: ignore[arg-type]
        out=out,
        edges_from=edges_from,  # type: ignore[arg-type]
        feature=only,  # type: ignore[arg-type]
        labels=labels,  # type: ignore[arg-type]
        slices=slices,  # type: ignore[arg-type]
        as_json=bool(as_json),
    )


def test_a_profile_is_built_into_the_folder_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make(tmp_path / "m", code=CHATTY)
    run(Action.BUILD, folder, data(tmp_path))
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{folder}/profile.json: written, with 1 feature, prediction, from 50 rows" in said.err
    assert "warning: 50 rows are few: a PSI up to 0.72 can be chance; 1000 rows or more show less" in said.err
    assert "hello" not in said.err
    run(Action.SHOW, folder)
    shown = capsys.readouterr().out
    assert "0 to 49" in shown
    assert "doubler 1.0.0: 50 rows of held-out.csv" in shown
    run(Action.SHOW, folder, as_json=True)
    assert json.loads(capsys.readouterr().out)["features"][0]["name"] == "value"


def test_the_check_names_the_profile_or_says_that_drift_is_not_measured(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")

    def finding() -> tuple[str, str]:
        return next((one.outcome, one.message) for one in check_folder(folder) if one.check == "profile")

    assert finding() == ("passed", "no profile: drift is not measured")
    run(Action.BUILD, folder, data(tmp_path))
    assert finding() == ("passed", "1 feature, prediction, from 50 rows")


def test_another_file_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    before = {one: one.read_bytes() for one in folder.iterdir() if one.is_file()}
    run(Action.BUILD, folder, data(tmp_path), tmp_path / "out.json")
    assert {one: one.read_bytes() for one in folder.iterdir() if one.is_file()} == before
    run(Action.BUILD, folder, data(tmp_path, 30), edges_from=tmp_path / "out.json")
    found = load_folder(folder).profile
    assert found is not None
    assert found.edges_digest == json_edges(tmp_path / "out.json")


def json_edges(file: Path) -> str:
    return of_text(file.read_text(), "out.json").edges_digest


def test_wrong_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    with pytest.raises(errors.Invalid, match="needs rows"):
        run(Action.BUILD, folder)
    with pytest.raises(errors.NotFound, match="has no profile: drift is not measured"):
        run(Action.SHOW, folder)
    with pytest.raises(errors.NotFound, match="there is no file"):
        run(Action.BUILD, folder, tmp_path / "none.csv")
    with pytest.raises(errors.Invalid, match="cannot be written"):
        run(Action.BUILD, folder, data(tmp_path), tmp_path / "nowhere" / "out.json")


@pytest.mark.parametrize("content", [None, "{}", "value\n1\n"], ids=["no file", "another JSON", "the data"])
def test_a_wrong_file_with_bins_is_told_by_its_option_and_which_file_it_should_be(
    content: str | None, tmp_path: Path
) -> None:
    folder, file = folders.make(tmp_path / "m"), tmp_path / "bins.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises((errors.NotFound, errors.Invalid), match=f"--edges-from {file}: ") as refused:
        run(Action.BUILD, folder, data(tmp_path), edges_from=file)
    assert refused.value.hint == (
        "Name the profile.json in the folder of another version; `fairlead profile build` writes it."
    )


def test_a_profile_that_is_gone_is_built_again_with_the_named_command(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    run(Action.BUILD, folder, data(tmp_path))
    (folder / "profile.json").unlink()
    with pytest.raises(errors.NotFound, match="there is no such file") as refused:
        run(Action.SHOW, folder)
    assert refused.value.hint == f"Build it: fairlead profile build {folder} --data FILE"


@pytest.mark.parametrize(
    ("changes", "whose"),
    [({"version": "1.1.0"}, "doubler 1.0.0"), ({"artifact": b"3"}, "another artifact")],
    ids=["another version", "another artifact"],
)
def test_the_profile_of_something_else_is_shown_with_a_warning(
    changes: dict[str, Any], whose: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = folders.make(tmp_path / "1")
    run(Action.BUILD, first, data(tmp_path))
    folder = folders.make(tmp_path / "2", profile="profile.json", **changes)
    (folder / "profile.json").write_bytes((first / "profile.json").read_bytes())
    capsys.readouterr()
    run(Action.SHOW, folder)
    said = capsys.readouterr()
    assert "0 to 49" in said.out
    assert f"warning: this is the profile of {whose}, and doubler" in said.err
    assert f"fairlead profile build {folder} --data FILE" in said.err


def test_with_a_column_of_labels_the_profile_has_the_quality_of_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folders.make(tmp_path / "m")
    file = tmp_path / "held-out.csv"
    file.write_text("value,truth\n" + "".join(f"{number},{2 * number + 1}\n" for number in range(50)))
    run(Action.BUILD, folder, file, labels="truth")
    quality = load_folder(folder).profile.quality  # type: ignore[union-attr]
    assert quality == NumberQuality(rows=50, absolute_errors=50, squared_errors=50)
    assert "from 50 rows, mean absolute error 1" in capsys.readouterr().err
    run(Action.SHOW, folder)
    assert "doubler 1.0.0: 50 rows of held-out.csv, mean absolute error 1" in capsys.readouterr().out
    with pytest.raises(errors.Invalid, match="--labels: .* has no column y; it has value, truth"):
        run(Action.BUILD, folder, file, labels="y")


def test_slices_are_declared_by_their_option_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make(tmp_path / "m")
    run(Action.BUILD, folder, data(tmp_path), slices=["large: value=40..", "small: value=..5"])
    assert "with 1 feature, prediction, 2 slices, from 50 rows" in capsys.readouterr().err
    run(Action.SHOW, folder)
    assert "slice large: value=40.., 10 rows\nslice small: value=..5, 5 rows\n" in capsys.readouterr().out


def test_a_vector_has_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = folders.DOUBLER.replace("value: float = Field(ge=-100, le=100,", "value: list[float] = Field(**LONG,")
    code = code.replace("class Number", "LONG = {'min_length': 40, 'max_length': 40}\n\nclass Number")
    code = code.replace("* row.value", "* row.value[0]")
    folder = folders.make(tmp_path / "m", code=code, golden=())
    file = tmp_path / "held-out.csv"
    file.write_text(
        ",".join(f"v{at}" for at in range(40)) + "\n" + "".join(",".join([f"{row}"] * 40) + "\n" for row in range(50))
    )
    run(Action.BUILD, folder, file)
    assert "with no features, 1 vector, prediction, from 50 rows" in capsys.readouterr().err
    run(Action.SHOW, folder)
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("value")]
    assert line.split()[:6] == ["value", "vector", "-", "0.0%", "40", "numbers"]
    assert line.split()[6:8] == ["-", "MMD"]


def test_data_whose_halves_differ_is_built_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = folders.make(tmp_path / "m"), tmp_path / "held-out.csv"
    for spread, warned in ((1, True), (37, False)):
        file.write_text("value\n" + "".join(f"{number * spread % 200 - 100}\n" for number in range(200)))
        run(Action.BUILD, folder, file)
        said = capsys.readouterr().err
        assert ("warning: value: the first half of the rows is not as the second, by a PSI of " in said) is warned
    run(Action.SHOW, folder)
    assert "PSI 0.0" in capsys.readouterr().out


def recording(path: Path, count: int = 60, **changes: object) -> Path:
    """Requests of the doubler, one a minute."""
    file = path / "recorded.jsonl"
    lines = [
        {
            "time": f"2026-11-30T{9 + number // 60:02}:{number % 60:02}:00Z",
            "id": f"request-{number}",
            "model": "doubler",
            "version": "1.0.0",
            "protocol": "predict",
            "status": 200,
            "ms": 1.0,
            "rows": [{"value": float(number)}],
            "answers": [{"value": 2.0 * number}],
        }
        | changes
        for number in range(count)
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in [*lines, lines[0]]))
    return file


def test_a_model_without_held_out_rows_gets_a_baseline_of_its_first_hours_which_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folders.make(tmp_path / "m")
    run(Action.BUILD, folder, recorded=recording(tmp_path), first="30m")
    said = capsys.readouterr().err
    assert "from 31 recorded rows" in said  # one that is there twice counts once
    found = load_folder(folder).profile
    assert found is not None
    assert found.recorded
    counts = np.zeros(sum(len(one.bins) for one in found.every), np.int64)
    text = DriftText("doubler", "1.0.0", found).render(counts, counts[:1], rows=0, skipped=0, failed=0)
    assert b'source="recording"' in text
    run(Action.SHOW, folder)
    assert "31 recorded rows of recorded.jsonl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"first": "1h"}, "--first is for recorded requests"),
        ({"first": "soon", "recorded": True}, "'soon' is no duration"),
        ({"recorded": True, "labels": "y"}, "no column with what is true"),
        ({"recorded": True, "file": True}, "both name rows"),
    ],
)
def test_options_of_a_recording_that_contradict_each_other_are_refused(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    given = {**options, **({"recorded": recording(tmp_path)} if "recorded" in options else {})}
    file = data(tmp_path) if given.pop("file", False) else None
    with pytest.raises(errors.Invalid, match=says):
        run(Action.BUILD, folders.make(tmp_path / "m"), file, **given)


def test_a_recording_that_hides_a_field_of_rows_is_no_baseline(tmp_path: Path) -> None:
    hidden = recording(tmp_path, hidden={"value": "redacted"}, rows=[{}])
    with pytest.raises(errors.Invalid, match=r"no values of value \(redacted\)"):
        run(Action.BUILD, folders.make(tmp_path / "m"), recorded=hidden)
    with pytest.raises(errors.NotFound, match="has no request of doubler"):
        run(Action.BUILD, folders.make(tmp_path / "n"), recorded=recording(tmp_path, model="other"))


def test_a_field_that_a_recording_hides_is_found_by_the_name_that_clients_send(tmp_path: Path) -> None:
    field = 'Field(ge=-100, validation_alias="sent", serialization_alias="written",'
    folder = folders.make(tmp_path / "m", code=folders.DOUBLER.replace("Field(ge=-100,", field))
    model = load_folder(folder)
    described = Hidden(model.row_type, model.answer_type, ["value"], []).described
    with pytest.raises(errors.Invalid, match=r"no values of sent \(redacted\)"):
        rows_of(recording(tmp_path, hidden=described, rows=[{}]), model)


def test_the_first_requests_of_more_time_than_a_calendar_has_are_all(tmp_path: Path) -> None:
    model = load_folder(folders.make(tmp_path / "m"))
    assert len(rows_of(recording(tmp_path), model, first_s=1e300)) == 60
