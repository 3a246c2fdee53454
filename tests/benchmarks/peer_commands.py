"""How each server is started with a model, and what its clients send: the row, in the server's own protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peer_models import Trained
from support import environments, proof
from support.load.servers import Server
from support.service import FAIRLEAD, HOST

SERVERS = Path(__file__).parent / "peer_servers"
OTHERS = ("KServe SDK", "MLServer", "LitServe", "BentoML", "Ray Serve")
_SCRIPTS = {"KServe SDK": "kserve", "MLServer": "mlserver", "LitServe": "litserve", "Ray Serve": "ray"}
_SILENT = {"BENTOML_DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "DISABLE_LITSERVE_TELEMETRY": "1"}


def servers(name: str, model: str, trained: Trained, size: proof.Size) -> tuple[Server, Callable[[bytes], Server]]:
    """Fairlead as `fairlead serve` starts it, and what makes the peer of an answer of Fairlead."""
    env = _libraries(model)
    command: list[str | Path] = [FAIRLEAD, "serve", trained.folder, "--drain-s", "0"]
    ours = Server("Fairlead", command, json.dumps(trained.row).encode(), env=env)
    return ours, partial(_peer, name, model, trained, size)


def _peer(name: str, model: str, trained: Trained, size: proof.Size, answer: bytes) -> Server:
    """Another server with the same artifact. `answer` is what the bare application returns: as many bytes as ours."""
    env = {"MODEL": model, "ARTIFACT": str(trained.artifact), **_SILENT, **_libraries(model)}
    row = json.dumps(trained.row).encode()
    kind = "iris" if model == "iris" else "rows"
    uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    uvicorn += ["--log-level", "warning", "--no-server-header", "--app-dir", str(SERVERS)]
    if name == "bare":
        return Server(name, [*uvicorn, "--lifespan", "off", "bare:app"], row, env={"BARE_ANSWER": answer.decode()})
    if name == "plain FastAPI":
        app = "plain_fastapi:app" if model == "iris" else "fastapi_rows:app"
        return Server(name, [*uvicorn, app], row, env=env)
    python = environments.python(environment(name, size))
    if name == "BentoML":
        service = ["-m", "bentoml", "serve", f"bentoml_{kind}:{kind.title()}", "--working-dir", str(SERVERS)]
        body = row if model == "iris" else json.dumps({"row": trained.row}).encode()
        return Server(name, [python, *service, "--host", HOST], body, env=env)
    command = [python, SERVERS / f"{_SCRIPTS[name]}_{kind}.py"]
    if name == "KServe SDK":
        instance = list(trained.row.values()) if model == "iris" else trained.row
        body = json.dumps({"instances": [instance]}).encode()
        return Server(name, command, body, f"/v1/models/{kind}:predict", env=env)
    if name == "MLServer":
        body = json.dumps({"id": "1", "inputs": _tensors(model, trained.row)}).encode()
        return Server(name, command, body, f"/v2/models/{kind}/infer", env=env)
    return Server(name, command, row, env=env)


def environment(name: str, size: proof.Size) -> str:
    """The list of requirements that a peer runs with."""
    if name == "MLServer":
        return "mlserver"
    return "clients" if size == "reduced" else "peers"


def _libraries(model: str) -> Mapping[str, str]:
    """The variables with which a server finds the runtime of ONNX: the same one for all."""
    return environments.variables(environments.packages("formats")) if model == "photo" else {}


def _tensors(model: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The row for the Open Inference Protocol: iris as one matrix, other rows as a tensor for each field."""
    if model == "iris":
        return [{"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": list(row.values())}]
    return [
        {"name": name, "shape": [1, 1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for name, value in row.items()
    ]
