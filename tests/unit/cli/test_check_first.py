"""`fairlead deploy` and `fairlead release` check a model folder first, and refuse one that is not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli import checking, exit_codes
from fairlead.cli.commands import deploy, release
from fairlead.local.state import StateFolder
from fairlead.serving.check.own_process import check_in_own_process
from fairlead.serving.check.printed import Printed
from fairlead.store.sqlite import SqliteStore
from support import folders


@pytest.fixture
def state(tmp_path: Path) -> Path:
    SqliteStore(tmp_path / "ledger.db").close()
    return tmp_path


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose checks ran."""
    found: list[Path] = []

    def check(folder: Path, printed: Printed) -> object:
        found.append(folder)
        return check_in_own_process(folder, printed)

    monkeypatch.setattr(checking, "check_in_own_process", check)
    return found


def broken(root: Path) -> Path:
    folder = folders.make(root / "broken")
    (folder / "model.py").write_text("import nope\n")
    return folder


def versions(state: Path) -> list[str]:
    return [version for route in SqliteStore(state / "ledger.db").routes() for version in route.spec.versions]


def test_a_folder_that_is_not_fit_is_not_deployed_and_the_reason_is_shown(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken(state)
    with pytest.raises(errors.ModelFailed, match=r"cannot be served as it is: \d checks? failed") as refused:
        deploy.command(folder, state=state)
    assert exit_codes.code_of(refused.value) == exit_codes.FAILED
    assert "--skip-check" in str(refused.value.hint)
    assert "No module named 'nope'" in capsys.readouterr().err
    assert versions(state) == []
    assert not list((state / "versions").glob("*/*"))


def test_it_is_deployed_with_skip_check_and_its_release_is_refused(state: Path) -> None:
    deploy.command(broken(state), skip_check=True, state=state)
    (version,) = versions(state)
    store = SqliteStore(state / "ledger.db")
    (route,) = store.routes()
    with pytest.raises(errors.ModelFailed):
        release.command(route.name, version, state=state)
    assert store.route(route.name) == route
    release.command(route.name, version, skip_check=True, state=state)


def test_what_was_checked_is_not_checked_again(state: Path, checked: list[Path]) -> None:
    folder = folders.make(state / "m")
    deploy.command(folder, state=state)
    assert checked == [folder]
    deploy.command(folder, instances=2, state=state)
    (route,) = SqliteStore(state / "ledger.db").routes()
    release.command(route.name, next(iter(route.spec.versions)), state=state)
    assert checked == [folder]


def test_a_version_that_was_not_checked_is_checked_at_its_release(state: Path, checked: list[Path]) -> None:
    deploy.command(folders.make(state / "m"), skip_check=True, state=state)
    (route,) = SqliteStore(state / "ledger.db").routes()
    (version,) = route.spec.versions.values()
    release.command(route.name, next(iter(route.spec.versions)), state=state)
    assert checked == [Path(version.source or "")]
    release.command(route.name, next(iter(route.spec.versions)), state=state)
    assert len(checked) == 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}'])
def test_a_note_of_checks_that_cannot_be_read_is_no_note(tmp_path: Path, text: str) -> None:
    state = StateFolder(tmp_path)
    (tmp_path / "fit.json").write_text(text)
    assert not state.is_fit("ab" * 32)
    state.note_fit("ab" * 32)
    assert state.is_fit("ab" * 32)


CHATTY = folders.DOUBLER.replace("        return [", "        print('a row')\n        return [")


def test_what_a_fit_model_prints_is_not_shown_and_of_one_that_is_not_fit_it_comes_after_the_reasons(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy.command(folders.make(state / "fit", code=CHATTY, name="fit"), state=state)
    assert "a row" not in capsys.readouterr().err
    wrong = folders.make(
        state / "wrong", code=CHATTY, name="wrong", golden=[{"input": {"value": 1}, "expected": {"value": 9}}]
    )
    with pytest.raises(errors.ModelFailed):
        deploy.command(wrong, state=state)
    *reasons, title, line = capsys.readouterr().err.splitlines()
    assert any(one.startswith("failed: golden rows") for one in reasons)
    assert (title, line) == ("the model printed 1 line:", "  | a row")
