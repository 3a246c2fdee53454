from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.cli.commands import new
from fairlead.serving.formats.artifact import digest_of
from fairlead.serving.formats.folder import load_folder


def test_the_command_writes_checks_and_names_the_next_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data = tmp_path / "trained.joblib", tmp_path / "rows.csv"
    joblib.dump(LinearRegression().fit([[0.0, 1.0], [1.0, 2.0]], [0.0, 2.0]), file)
    data.write_text("x,y\n1.0,1\n,2\n3.0,3\n")
    new.command("lines", file, digest_of(file), data, None, "2.0.0", tmp_path / "out")
    folder = tmp_path / "out" / "lines" / "2.0.0"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{folder}: written, with 2 golden rows"
    assert printed[1].startswith("its artifact has the sha256")
    assert printed[2] == f"1 row of {data} left out; the first: x: Input should be a valid number"
    assert printed[-2:] == [f"{folder}: fit to serve", f"next: fairlead serve {folder}, or fairlead deploy {folder}"]


def test_from_a_hundred_rows_on_the_folder_has_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data = tmp_path / "trained.joblib", tmp_path / "rows.csv"
    joblib.dump(LinearRegression().fit([[0.0, 1.0], [1.0, 2.0]], [0.0, 2.0]), file)
    for version, count in (("1.0.0", 99), ("1.1.0", 100)):
        data.write_text("x,y\n" + "".join(f"{number},{number % 7}\n" for number in range(count)))
        new.command("lines", file, digest_of(file), data, None, version, tmp_path / "out")
    few, enough = (load_folder(tmp_path / "out" / "lines" / version).profile for version in ("1.0.0", "1.1.0"))
    assert few is None
    assert enough is not None
    assert enough.described == "2 features, prediction, from 100 rows"
    printed = capsys.readouterr().out
    assert f"no profile: {data} has 99 rows, and a reference for drift needs 100 or more\n" in printed
    assert "its profile has 2 features, prediction, from 100 rows; better are rows that the model was" in printed


def test_of_a_large_sample_the_profile_has_ten_thousand_rows_at_most(tmp_path: Path) -> None:
    file, data = tmp_path / "trained.joblib", tmp_path / "rows.csv"
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), file)
    data.write_text("x\n" + "".join(f"{number}\n" for number in range(25_000)))
    new.command("lines", file, digest_of(file), data, None, "1.0.0", tmp_path / "out")
    profile = load_folder(tmp_path / "out" / "lines" / "1.0.0").profile
    assert profile is not None
    assert profile.rows == 8334  # every third row: from the whole length of the sample


def test_what_the_estimator_prints_is_not_between_the_lines_of_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trained.joblib"
    forest = RandomForestRegressor(n_estimators=2, verbose=3, n_jobs=1).fit([[0.0], [1.0]], [0.0, 2.0])
    joblib.dump(forest, file)
    capfd.readouterr()
    new.command("forest", file, digest_of(file), None, None, "1.0.0", tmp_path / "out")
    printed = capfd.readouterr()
    assert "Parallel" not in printed.out + printed.err


def test_the_digest_of_the_artifact_is_another_one_and_the_command_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trained.pkl"
    file.write_bytes(pickle.dumps(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])))
    new.command("lines", file, digest_of(file), None, None, "1.0.0", tmp_path / "out")
    digest = digest_of(tmp_path / "out/lines/1.0.0/artifact/model.joblib")
    said = f"its artifact has the sha256 {digest[:12]}..., not that of {file}: the estimator was written again"
    assert said in capsys.readouterr().out.splitlines()


def test_a_file_of_code_that_is_missing_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="--code: the file .*nope.py is not there"):
        new.command("lines", tmp_path / "x.pkl", None, None, [tmp_path / "nope.py"], "1.0.0", tmp_path / "out")
