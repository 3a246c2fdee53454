"""How a model is loaded and warmed up, and what the service says until it is ready."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.serving.app import App, build_app
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.inference import dataplane
from support import folders
from support.small_models import Adder, Point, Served, Sum, ask, running

ROW = {"x": 1.0, "y": 2.0, "n": 3, "kind": "b"}


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_a_service_that_is_loading_or_failed_to_load_reports_why_it_is_not_ready() -> None:
    release = threading.Event()

    class Late(Adder):
        def __init__(self) -> None:
            release.wait(10)
            raise RuntimeError("no such weights")

    async def check() -> None:
        app = build_app(Served(model=Late))
        async with app.lifespan():
            for path in ("/readyz", "/startupz", "/v2/health/ready", "/v2/models/adder/ready"):
                reply = await ask(app, "GET", path)
                assert (reply.status, b"being loaded" in reply.body) == (503, True)
            assert (await ask(app, "POST", "/predict", b'{"x": 1}')).status == 503
            assert (await ask(app, "GET", "/livez")).status == 200
            release.set()
            while app.state.phase == "loading":
                await asyncio.sleep(0.001)
            assert b"no such weights" in (await ask(app, "GET", "/readyz")).body

    run(check())


@pytest.mark.parametrize(
    ("ending", "told"),
    [(SystemExit(0), "the model's code ended the process: sys.exit(0)"), (KeyboardInterrupt(), "KeyboardInterrupt: ")],
)
def test_a_model_that_ends_its_process_while_it_loads_is_reported_as_failed(ending: BaseException, told: str) -> None:
    class Quits(Adder):
        def __init__(self) -> None:
            raise ending

    async def check() -> None:
        app = build_app(Served(model=Quits))
        async with app.lifespan(), asyncio.timeout(10):
            while app.state.phase == "loading":
                await asyncio.sleep(0.001)
            assert (app.state.phase, app.state.reason) == ("failed", f"the model cannot be served: {told}")

    run(check())


def test_the_log_says_where_a_package_belongs_that_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = folders.DOUBLER.replace("        self.factor", "        import lightgbm\n        self.factor")

    async def check() -> None:
        app = build_app(load_folder(folders.make(tmp_path / "m", code=code)))
        async with app.lifespan(), asyncio.timeout(10):
            while app.state.phase == "loading":
                await asyncio.sleep(0.001)

    run(check())
    (line,) = [line for line in caplog.records if line.levelname == "ERROR"]
    assert line.__dict__["hint"].startswith("Nothing that is installed here provides lightgbm. Name its package in req")


def test_a_service_whose_artifact_is_restored_becomes_ready_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataplane, "FIRST_PAUSE_S", 0.01)
    folder = folders.make(tmp_path / "m")
    artifact = folder / "artifact.bin"
    artifact.write_bytes(b"half")

    async def phase(app: App, wanted: str) -> None:
        async with asyncio.timeout(10):
            while app.state.phase != wanted:
                await asyncio.sleep(0.001)

    async def check() -> None:
        app = build_app(load_folder(folder))
        async with app.lifespan():
            await phase(app, "failed")
            artifact.unlink()
            async with asyncio.timeout(10):
                while "there is no 'artifact.bin'" not in app.state.reason:
                    await asyncio.sleep(0.001)
            artifact.write_bytes(folders.ARTIFACT)
            await phase(app, "ready")
            assert (await ask(app, "POST", "/predict", b'{"value": 2}')).status == 200

    run(check())


def test_a_service_with_a_wrong_answer_to_a_golden_row_does_not_become_ready() -> None:
    class Off(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            return [Sum(total=answer.total + 1, kind=answer.kind) for answer in super().predict(rows)]

    async def check() -> None:
        async with running(Served(model=Off)) as app:
            reply = await ask(app, "GET", "/readyz")
            assert reply.status == 503
            assert b"golden row 1" in reply.body
            assert b"total" in reply.body

    run(check())


def test_a_model_that_answers_batches_differently_is_served_row_by_row() -> None:
    class Normalizing(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            share = 1.0 if len(rows) == 1 else 0.5
            return [Sum(total=answer.total * share, kind=answer.kind) for answer in super().predict(rows)]

    async def check() -> None:
        async with running(Served(model=Normalizing)) as app:
            both = await ask(app, "POST", "/predict", b'[{"x": 1}, {"x": 2}]')
            assert [answer["total"] for answer in json.loads(both.body)] == [2.0, 3.0]
            text = app.metrics.text().decode()
            assert 'batching_enabled{model="adder",reason="not_invariant",version="1.2.0"} 0.0' in text

    run(check())


def test_an_artifact_that_stays_wrong_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dataplane, "FIRST_PAUSE_S", 0.001)
    tries = 0

    class Wrong(Adder):
        def __init__(self) -> None:
            nonlocal tries
            tries += 1
            raise errors.ArtifactRejected("another digest")

    async def check() -> None:
        app = build_app(Served(model=Wrong))
        async with app.lifespan(), asyncio.timeout(10):
            while tries < 4:
                await asyncio.sleep(0.001)
        assert [line.__dict__["reason"] for line in caplog.records if line.levelname == "ERROR"] == ["another digest"]

    run(check())


def test_a_model_that_cannot_be_loaded_says_that_it_has_failed_for_good() -> None:
    class Broken(Adder):
        def __init__(self) -> None:
            raise ValueError("no such weights")

    async def check() -> None:
        async with running(Served(model=Broken)) as app:
            for path in ("/readyz", "/startupz"):
                reply = await ask(app, "GET", path)
                assert (reply.status, json.loads(reply.body)["type"]) == (503, "urn:fairlead:problem:load-failed")

    run(check())


def test_an_artifact_that_is_read_again_is_no_failure_for_good(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    (folder / "artifact.bin").write_bytes(b"half")

    async def check() -> None:
        app = build_app(load_folder(folder))
        async with app.lifespan(), asyncio.timeout(10):
            while app.state.phase == "loading":
                await asyncio.sleep(0.001)
            reply = await ask(app, "GET", "/readyz")
            assert (app.state.phase, json.loads(reply.body)["type"]) == ("failed", "urn:fairlead:problem:not-ready")

    run(check())
