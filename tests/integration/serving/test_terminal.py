"""`fairlead serve` at a terminal: its log is for people there, and JSON lines everywhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.faults import folders
from support.processes import free_port, wait_until
from support.service import FAIRLEAD, HOST, Service
from support.terminal import Terminal

TIME = r"\d\d:\d\d:\d\d\.\d\d\d"


class Shown:
    """A model service at a terminal."""

    def __init__(self, folder: Path, terminal: Terminal, url: str) -> None:
        self.folder, self.terminal, self.url = folder, terminal, url

    def predict(self, value: object, request_id: str) -> int:
        return httpx.post(
            f"{self.url}/predict", json={"value": value}, headers={"x-request-id": request_id}
        ).status_code

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder, port = folders.make(tmp_path_factory.mktemp("models"), "doubler", "1.0.0"), free_port()
    command: list[str | Path] = [
        FAIRLEAD,
        "serve",
        folder,
        "--port",
        str(port),
        "--drain-s",
        "0",
        "--log-level",
        "debug",
    ]
    with Terminal(command, cwd=folder) as terminal:
        service = Shown(folder, terminal, f"http://{HOST}:{port}")
        wait_until(service.is_ready, "the service is ready")
        yield service


def test_a_banner_names_the_model_and_the_address_of_its_docs(shown: Shown) -> None:
    assert re.match(rf"{TIME} info    doubler 1.0.0 is served", shown.terminal.wait_for("is served"))
    address = shown.terminal.wait_for("docs  ").split()[-1]
    assert address == f"{shown.url}/docs"
    assert httpx.get(address).is_success


def test_each_request_is_one_short_line(shown: Shown) -> None:
    assert shown.predict(1, "good") == 200
    line = shown.terminal.wait_for("request_id=good")
    assert re.fullmatch(rf"{TIME} debug   POST /predict 200 in [\d.]+ ms  request_id=good", line)


def test_a_rejected_request_has_its_reason(shown: Shown) -> None:
    assert shown.predict("x", "bad") == 422
    line = shown.terminal.wait_for("request_id=bad")
    assert line.endswith('reason="body.value: Input should be a valid number"')


def test_an_exception_of_the_model_has_one_traceback_that_begins_in_its_code(shown: Shown) -> None:
    folders.behave(shown.folder, fail=1)
    assert shown.predict(1, "broken") == 500
    folders.behave(shown.folder)
    shown.terminal.wait_for("POST /predict 500")
    lines = shown.terminal.text.splitlines()
    at = next(number for number, line in enumerate(lines) if "request failed" in line)
    assert lines[at + 1] == "    Traceback (most recent call last):"
    assert f'File "{shown.folder}/model.py"' in lines[at + 2]
    assert lines[at + 4] == "    RuntimeError: failed on command"
    assert shown.terminal.text.count("Traceback") == 1


def test_a_path_with_control_characters_cannot_move_the_cursor(shown: Shown) -> None:
    httpx.get(f"{shown.url}/x%1b%5b2Jy%0Az", headers={"x-request-id": "evil"})
    assert r"GET /x\x1b[2Jy\nz 404" in shown.terminal.wait_for("request_id=evil")
    assert "\x1b[2J" not in shown.terminal.text


def test_json_is_written_at_a_terminal_when_asked_for(shown: Shown, tmp_path: Path) -> None:
    command: list[str | Path] = [FAIRLEAD, "serve", shown.folder, "--port", "0", "--log-format", "json"]
    with Terminal(command, cwd=tmp_path) as terminal:
        assert json.loads(terminal.wait_for('"listening"'))["model"] == "doubler"


def test_without_a_terminal_the_log_is_json_unless_text_is_asked_for(shown: Shown, tmp_path: Path) -> None:
    with Service(shown.folder, log=tmp_path / "json.log", flags=["--drain-s", "0"]) as service:
        assert service.log_lines()[0]["message"] == "listening"
    log, variables = tmp_path / "text.log", {"FAIRLEAD_SERVING_LOG_FORMAT": "text"}
    with Service(shown.folder, log=log, flags=["--drain-s", "0"], env=variables):
        assert "info    doubler 1.0.0 is served" in log.read_text()


def test_an_unknown_format_is_refused_with_what_was_probably_meant(shown: Shown, tmp_path: Path) -> None:
    with Terminal([FAIRLEAD, "serve", shown.folder, "--log-format", "jsn"], cwd=tmp_path) as terminal:
        assert "did you mean 'json'?" in terminal.wait_for("log_format")
