"""A stub for one instance of a version: a process that responds as its behaviour file says.

The behaviour file is a `Behaviour` as JSON. The live platform replaces it with a rename. The stub checks the file at
every request, so a change applies from the next request on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from fairlead.contracts.scenario import Behaviour

LOOPBACK = "127.0.0.1"
NOT_READY = "not ready: the scenario has fewer instances now"
"""The detail of an instance that runs and is not ready."""
GOLDEN = tuple({"golden": number} for number in (1, 2))
"""The rows of the smoke test. `golden` alone decides whether their responses are right, not the error rate."""
KEEP_ALIVE_S = 75
"""As in a model service: longer than a gateway keeps an idle connection."""
STOP_TIMEOUT_S = 1


class BehaviourFile:
    """Reads the current behaviour from a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] = (0, 0)
        self._behaviour = Behaviour()

    def read(self) -> Behaviour:
        """The behaviour; the file is read again when it has changed."""
        stat = os.stat(self._path)
        if (stat.st_ino, stat.st_mtime_ns) != self._known:
            self._behaviour = Behaviour.model_validate_json(self._path.read_bytes())
            self._known = (stat.st_ino, stat.st_mtime_ns)
        return self._behaviour


def write_behaviour(path: Path, behaviour: Behaviour) -> None:
    """Replace the file atomically, because an instance may be reading it."""
    draft = path.with_suffix(".new")
    # Not `to_json`: there a duration has whole milliseconds.
    draft.write_text(json.dumps(behaviour.model_dump()))
    draft.rename(path)


class StubVersion:
    """The ASGI application: the paths of a model service that gateway, supervisor and smoke test use."""

    def __init__(self, file: BehaviourFile, *, version: str, instance: int, rng: random.Random) -> None:
        self._file, self._version, self._instance, self._rng = file, version, instance, rng

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = await _body(receive)
        status, response = await self._respond(scope["path"], request)
        body = json.dumps(response).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-model-version", self._version.encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _respond(self, path: str, request: bytes) -> tuple[int, dict[str, Any]]:
        behaviour = self._file.read()
        if path == "/predict":
            return await self._predict(behaviour, request)
        if path == "/readyz":
            ready = self._instance < behaviour.instances
            return (200, {"ready": True}) if ready else (503, {"detail": NOT_READY})
        if path == "/golden":
            return 200, {"rows": [{"input": row, "expected": row} for row in GOLDEN]}
        return 404, {"detail": "a stub version has no such path"}

    async def _predict(self, behaviour: Behaviour, request: bytes) -> tuple[int, dict[str, Any]]:
        row = json.loads(request)
        if row in GOLDEN:
            return 200, row if behaviour.golden else {"golden": "another answer than expected"}
        draw, latency = self._rng.random, behaviour.latency
        await asyncio.sleep(self._rng.lognormvariate(log(latency.median), latency.sigma))
        if draw() < behaviour.errors:
            return 500, {"detail": "failed, as the scenario says"}
        if draw() < behaviour.rejections:
            return 422, {"detail": "rejected, as the scenario says"}
        return 200, {"version": self._version}


async def _body(receive: Receive) -> bytes:
    parts = bytearray()
    while True:
        message = await receive()
        parts += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="fairlead.rehearsal.live.stub_version")
    parser.add_argument("behaviour_file", type=Path)
    parser.add_argument("--version", required=True)
    for name in ("--instance", "--port", "--seed"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args(arguments)
    rng = random.Random(f"{options.seed} {options.version} {options.instance}")
    app = StubVersion(
        BehaviourFile(options.behaviour_file), version=options.version, instance=options.instance, rng=rng
    )
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=options.port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )


if __name__ == "__main__":
    main()
