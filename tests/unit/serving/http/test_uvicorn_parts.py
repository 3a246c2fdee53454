"""The parts of uvicorn that the service extends are looked at before it starts."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http import httptools_impl

from fairlead.serving.app import build_app
from fairlead.serving.http import server, uvicorn_parts
from fairlead.serving.settings import Settings
from support.small_models import Served

ROOT = Path(__file__).parents[4]


def pinned(name: str) -> str:
    (version,) = re.findall(r"^uvicorn==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE)
    return str(version)


def test_the_installed_uvicorn_is_as_expected() -> None:
    assert uvicorn_parts.difference() == ""


def test_the_versions_that_are_tested_are_the_lowest_and_the_highest_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (allowed,) = [one for one in project["dependencies"] if one.startswith("uvicorn")]
    lowest, above = re.fullmatch(r"uvicorn>=0\.(\d+),<0\.(\d+)", allowed).groups()  # type: ignore[union-attr]
    assert pinned("uvicorn-oldest.txt") == f"0.{lowest}.0"
    assert pinned("dev.txt").startswith(f"0.{int(above) - 1}.")


class Renamed(httptools_impl.HttpToolsProtocol):
    """A protocol whose method has another parameter."""

    def _start_asgi_task(self, cycle: Any, application: Any) -> None:
        """As in uvicorn."""


class Bypassing(httptools_impl.HttpToolsProtocol):
    """A protocol that starts requests in another way."""

    def on_headers_complete(self) -> None:
        """Start a request."""
        self.loop.create_task(self.cycle.run_asgi(self.app))


class Emptied(httptools_impl.HttpToolsProtocol):
    """A protocol that keeps its state elsewhere."""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self.state = (config, server_state, app_state, _loop)


@pytest.mark.parametrize(
    ("protocol", "found"),
    [
        (Renamed, "Renamed._start_asgi_task has other parameters than cycle, app"),
        (Bypassing, "Bypassing.on_headers_complete does not use _start_asgi_task"),
        (Emptied, "Emptied sets no cycle"),
        (object, "object has no connection_made"),
    ],
)
def test_a_part_that_differs_is_named(protocol: type[Any], found: str) -> None:
    assert next(uvicorn_parts.differences(protocol, httptools_impl.RequestResponseCycle)) == found


def test_a_module_or_class_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn_parts, "MODULE", "uvicorn.protocols.http.gone")
    assert "No module named 'uvicorn.protocols.http.gone'" in uvicorn_parts.difference()
    monkeypatch.undo()
    monkeypatch.delattr(httptools_impl, "RequestResponseCycle")
    found = uvicorn_parts.difference()
    assert found.startswith(f"uvicorn {uvicorn.__version__}: ")
    assert "has no attribute 'RequestResponseCycle'" in found


def test_with_another_uvicorn_the_server_is_plain_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_app(Served())
    ours = server.server(app.envelope, app.fast_path, app.state, Settings())
    monkeypatch.delattr(httptools_impl.HttpToolsProtocol, "_start_asgi_task")
    with caplog.at_level(logging.WARNING):
        plain = server.server(app.envelope, app.fast_path, app.state, Settings())
    assert isinstance(ours.config.http, type)
    assert issubclass(ours.config.http, httptools_impl.HttpToolsProtocol)
    assert plain.config.http == "h11"
    (line,) = caplog.records
    assert "the fast path is off" in line.message
    assert line.__dict__["reason"].endswith("HttpToolsProtocol has no _start_asgi_task")
