"""`fairlead predict`: rows that are no JSON, and files for TLS that cannot be used."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.cli.commands import predict
from support.cluster.certificates import Authority


def refused(rows: str) -> errors.Invalid:
    with pytest.raises(errors.Invalid) as caught:
        predict.command("iris", rows, url="http://127.0.0.1:9")
    return caught.value


def test_the_name_of_a_file_is_no_row_and_the_way_to_read_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("held.csv").write_text("a,b\n1,2\n")
    error = refused("held.csv")
    assert error.message == "the rows are not JSON: held.csv is a file"
    assert str(error.hint).startswith("to read it: @held.csv; a file has one row as a JSON object, or a list of them")


def test_a_file_that_is_a_table_is_told_what_a_file_has(tmp_path: Path) -> None:
    file = tmp_path / "held.csv"
    file.write_text("a,b\n1,2\n")
    error = refused(f"@{file}")
    assert error.message.startswith(f"{file} has no JSON: ")
    assert "a table, such as a CSV, is not read" in str(error.hint)


def test_standard_input_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a,b")))
    assert refused("-").message.startswith("standard input has no JSON: ")


def test_a_row_that_the_shell_has_unquoted_is_told_how_to_quote_it() -> None:
    assert "quote it for the shell" in str(refused("{x: 1}").hint)


def test_what_is_no_key_is_refused_without_being_shown() -> None:
    with pytest.raises(errors.Invalid, match="characters that no key has") as caught:
        predict.command("iris", "{}", url="http://127.0.0.1:9", key="secret\nof mine")
    assert "secret" not in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A certificate, its key and their authority."""
    authority = Authority(tmp_path / "authority").create()
    cert, cert_key = authority.issue("me")
    return {"ca": authority.certificate, "cert": cert, "cert_key": cert_key}


def refused_files(files: Mapping[str, Any], url: str = "https://127.0.0.1:9") -> str:
    with pytest.raises(errors.Invalid) as caught:
        predict.command("iris", "{}", url=url, **files)
    return caught.value.message


@pytest.mark.parametrize("file", ["ca", "cert", "cert_key"])
def test_a_file_for_tls_that_is_missing_is_the_one_that_is_named(files: dict[str, Path], file: str) -> None:
    files[file].unlink()
    assert refused_files(files) == f"{files[file]} cannot be used: No such file or directory"


def test_a_key_that_is_none_is_named_with_its_certificate(files: dict[str, Path]) -> None:
    files["cert_key"].write_text("nothing")
    assert refused_files(files) == (
        f"{files['cert']} and its key {files['cert_key']} cannot be used: "
        "there is no certificate or key in PEM, or they do not fit"
    )


@pytest.mark.parametrize("given", [["ca"], ["cert", "cert_key"]])
def test_files_for_tls_are_refused_where_they_would_be_ignored(files: dict[str, Path], given: list[str]) -> None:
    said = refused_files({name: files[name] for name in given}, url="http://127.0.0.1:9")
    assert said == "--ca and --cert are for https, and http://127.0.0.1:9 would be asked without"


def test_authorities_from_the_environment_may_be_those_of_another_gateway(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_CA", str(files["ca"]))
    with pytest.raises(errors.Invalid, match="the rows are not JSON"):
        predict.command("iris", "{x", url="http://127.0.0.1:9", ca=files["ca"])
