"""A stand-in for one instance of a version: a process that answers as a file says, whatever it is asked.

The file is the *part*: a `Behaviour` as JSON, renamed into place by whoever conducts. It is looked at for every
request, so a change holds from the next one on.
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
OFF_STAGE = "not on stage: the scenario has fewer instances just now"
"""What an instance says that runs and is not ready."""
GOLDEN = tuple({"golden": number} for number in (1, 2))
"""Asked by the smoke test, and answered as `golden` says: whether they come back right is no matter of chance."""
KEEP_ALIVE_S = 75
"""As a model service: longer than a gateway keeps a connection that nobody uses."""
STOP_WITHIN_S = 1


class Part:
    """What is to be played just now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] = (0, 0)
        self._behaviour = Behaviour()

    def read(self) -> Behaviour:
        """The file, read again where it has changed."""
        stat = os.stat(self._path)
        if (stat.st_ino, stat.st_mtime_ns) != self._known:
            self._behaviour = Behaviour.model_validate_json(self._path.read_bytes())
            self._known = (stat.st_ino, stat.st_mtime_ns)
        return self._behaviour


def write_part(path: Path, behaviour: Behaviour) -> None:
    """Whole or not at all: an instance may be reading it."""
    draft = path.with_suffix(".new")
    # Not as people write it: there a duration has whole milliseconds.
    draft.write_text(json.dumps(behaviour.model_dump()))
    draft.rename(path)


class StandIn:
    """The ASGI application: what gateway, supervisor and smoke test ask of a model service, and nothing else."""

    def __init__(self, part: Part, *, version: str, instance: int, rng: random.Random) -> None:
        self._part, self._version, self._instance, self._rng = part, version, instance, rng

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        asked = await _body(receive)
        status, answer = await self._answer(scope["path"], asked)
        body = json.dumps(answer).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-model-version", self._version.encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str, asked: bytes) -> tuple[int, dict[str, Any]]:
        behaviour = self._part.read()
        if path == "/predict":
            return await self._predict(behaviour, asked)
        if path == "/readyz":
            ready = self._instance < behaviour.instances
            return (200, {"ready": True}) if ready else (503, {"detail": OFF_STAGE})
        if path == "/golden":
            return 200, {"rows": [{"input": row, "expected": row} for row in GOLDEN]}
        return 404, {"detail": "a stand-in has no such path"}

    async def _predict(self, behaviour: Behaviour, asked: bytes) -> tuple[int, dict[str, Any]]:
        row = json.loads(asked)
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
    """Serve until told to end."""
    parser = argparse.ArgumentParser(prog="fairlead.rehearsal.live.stub_version")
    parser.add_argument("part", type=Path)
    parser.add_argument("--version", required=True)
    for name in ("--instance", "--port", "--seed"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args(arguments)
    rng = random.Random(f"{options.seed} {options.version} {options.instance}")
    app = StandIn(Part(options.part), version=options.version, instance=options.instance, rng=rng)
    uvicorn.run(
        app,
        host=LOOPBACK,
        port=options.port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )


if __name__ == "__main__":
    main()
