"""`fairlead drift`: what it prints of a platform's store, and of instances that are asked over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fairlead import errors
from fairlead.cli import cluster
from fairlead.cli.commands.drift import command
from fairlead.store.sqlite import SqliteStore
from support.drift_texts import a_text
from support.profiles import of_points
from unit.control.console.scene import CANDIDATE, a_revision, a_store, an_instance, append
from unit.control.test_drift import at, serving

ROWS = 1000
LIVE = {"x": [0, ROWS, 0, 0, 0], "kind": [ROWS, 0, 0, 0, 0], "prediction": [0, ROWS // 2, ROWS // 2, 0, 0]}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A platform that serves iris 1.0.0 to most, and 1.1.0 to some; neither has an instance."""
    store = a_store(tmp_path)
    append(store, a_revision(1, weight=1000))
    store.close()
    return tmp_path


@pytest.fixture
def running(state: Path) -> Iterator[Path]:
    """The same with an instance of 1.0.0 whose x is below 5 in all rows; that of 1.1.0 has no profile."""
    with (
        serving(a_text(of_points(), LIVE)) as port,
        serving(a_text(None, {})) as other,
        SqliteStore(state / "ledger.db") as store,
    ):
        store.report(at(port))
        store.report(an_instance(CANDIDATE).model_copy(update={"port": other}))
        yield state


def test_what_drifts_is_a_table_for_each_version(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("iris", state=running)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("iris 1.0.0 (stable): 1 of 3 features drifts: x")
    assert any(line.startswith("x input drifts PSI") and line.endswith("1,000") for line in lines)
    assert "x 0 to 5: 50 % in the reference, 100 % now" in lines
    assert any(line.startswith("iris 1.1.0 (candidate): drift unavailable: it has no profile") for line in lines)


def test_json_has_the_shares_of_every_bin(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("iris", state=running, version="1.0.0", as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["version"], found["role"], found["state"]) == ("1.0.0", "stable", "measured")
    (x,) = (one for one in found["parts"][0]["features"] if one["name"] == "x")
    assert x["verdict"] == "drifts"
    assert [(one["name"], one["reference"], one["live"]) for one in x["bins"]] == [
        ("below 0", 0.0, 0.0),
        ("0 to 5", 0.5, 1.0),
        ("5 to 10", 0.5, 0.0),
        ("above 10", 0.0, 0.0),
        ("missing", 0.0, 0.0),
    ]


def test_one_version_is_shown_alone(running: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("iris", state=running, version="1.1.0")
    shown = capsys.readouterr().out
    assert "iris 1.1.0" in shown
    assert "1.0.0" not in shown


@pytest.mark.parametrize("as_json", [False, True])
def test_where_no_version_has_an_instance_it_is_told_and_no_success(
    state: Path, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(errors.Unavailable, match="no instance of iris says what it has counted") as caught:
        command("iris", state=state, as_json=as_json)
    assert caught.value.hint is not None
    assert "fairlead status iris" in caught.value.hint
    assert capsys.readouterr().out.count("drift unavailable: no instance of it runs") == 2


def test_an_unknown_version_is_told_with_those_there_are(running: Path) -> None:
    with pytest.raises(errors.NotFound, match=r"iris has no version '9\.0\.0' now") as caught:
        command("iris", state=running, version="9.0.0")
    assert caught.value.hint == "its versions: 1.0.0, 1.1.0"


def test_an_unknown_model_and_a_folder_without_a_platform_are_told(running: Path) -> None:
    with pytest.raises(errors.NotFound, match="rose"):
        command("rose", state=running)
    with pytest.raises(errors.Unavailable, match="there is no platform"):
        command("iris", state=running / "elsewhere")


def test_a_model_that_neither_runs_nor_serves_has_no_drift_and_no_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_store(tmp_path).close()
    with pytest.raises(errors.NotFound, match="no version of iris runs or serves") as caught:
        command("iris", state=tmp_path)
    assert caught.value.hint == f"see what it waits for: fairlead status iris --state {tmp_path}"
    command("iris", state=tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_in_a_cluster_pods_are_asked_through_the_api(
    running: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class InCluster(SqliteStore):
        @property
        def api(self) -> object:
            return SimpleNamespace(read=lambda path, query, limit: a_text(of_points(), LIVE).encode())

    monkeypatch.setattr(cluster, "open_store", lambda context, namespace: InCluster(running / "ledger.db"))
    command("iris", namespace="models", version="1.1.0")
    # Its own port says that it has no profile.
    assert "iris 1.1.0 (candidate): 1 of 3 features drifts: x" in " ".join(capsys.readouterr().out.split())
