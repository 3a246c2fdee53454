from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.access import key_hash
from fairlead.routing.access_file import AccessFile, read_access

ONE = f"clients: {{shop: {{keys: ['{key_hash('one')}']}}}}\n"
TWO = f"clients: {{shop: {{keys: ['{key_hash('two')}']}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "access.yaml"
    path.write_text(ONE)
    path.chmod(0o600)
    return path


def replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".new")
    draft.write_text(text)
    draft.chmod(0o600)
    draft.rename(file)


def test_an_unchanged_file_is_the_same_object(file: Path) -> None:
    access = AccessFile(file, only_owner=True)
    assert access.current() is access.current()


def test_a_changed_file_is_read_again(file: Path) -> None:
    access = AccessFile(file, only_owner=True)
    replace(file, TWO)
    assert access.current().clients["shop"].keys == (key_hash("two"),)


def test_a_mounted_secret_is_read_again_when_its_folder_is_renamed(tmp_path: Path) -> None:
    """The kubelet writes a new folder and moves the link `..data`: the file's own name never changes."""
    for name, text in (("first", ONE), ("second", TWO)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "access.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "access.yaml").symlink_to("..data/access.yaml")
    access = AccessFile(tmp_path / "access.yaml", only_owner=False)
    (tmp_path / "..new").symlink_to("second")
    os.replace(tmp_path / "..new", tmp_path / "..data")
    assert access.current().clients["shop"].keys == (key_hash("two"),)


@pytest.mark.parametrize("change", ["wrong", "gone", "open", "empty"])
def test_a_file_that_becomes_unusable_changes_nothing_and_is_told_once(
    file: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    access = AccessFile(file, only_owner=True)
    before = access.current()
    if change == "gone":
        file.unlink()
    elif change == "open":
        file.chmod(0o644)
    elif change == "empty":
        replace(file, "\n")
    else:
        replace(file, "clients: {shop: {keys: [plain]}}\n")
    with caplog.at_level(logging.ERROR, "fairlead.control"):
        assert [access.current() is before for _ in range(3)] == [True] * 3
    [record] = caplog.records
    assert record.message.endswith("clients, keys and limits stay as they were")
    replace(file, TWO)
    assert access.current().clients["shop"].keys == (key_hash("two"),)


def test_a_file_that_others_may_open_is_refused_on_one_machine(file: Path) -> None:
    file.chmod(0o640)
    with pytest.raises(errors.Invalid, match="other users may open it") as refused:
        read_access(file, only_owner=True)
    assert refused.value.hint == f"take it from them: chmod 600 {file}"
    assert read_access(file, only_owner=False).clients


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"nothing\.yaml, which says who may call, cannot be read: No such file"):
        AccessFile(tmp_path / "nothing.yaml", only_owner=True)


def test_on_one_machine_missing_authorities_are_refused_before_the_gateway_sees_them(file: Path) -> None:
    issuer = "{issuer: a, audiences: [b], jwksUrl: 'https://a.example/', caFile: /nowhere/ca.crt}"
    replace(file, f"tokens: [{issuer}]\n")
    with pytest.raises(errors.Invalid, match=r"tokens\.0\.caFile: there is no /nowhere/ca\.crt"):
        read_access(file, only_owner=True)
    assert read_access(file, only_owner=False).tokens
