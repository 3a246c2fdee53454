"""Asks a service over gRPC with a client of another platform, as its users write it: `... triton|kserve ADDRESS MODEL`.

Runs in the environment of requirements/clients.txt, without Fairlead; once for each client, because both have messages
of the same names. Prints a JSON object: for each situation what the client returned, or `{"raised": ...}` with the text
of its exception; and as `fields` the fields of its messages.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])
FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def plain(value: Any) -> Any:
    """The value as JSON data."""
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    return [one.decode() if isinstance(one, bytes) else one for one in listed] if isinstance(listed, list) else listed


async def attempt(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What a call returns, or the text of its exception."""
    try:
        return plain(await ask())
    except Exception as error:  # each client has its own
        return {"raised": f"{type(error).__name__}: {error}"}


def fields(definitions: Any) -> dict[str, list[Any]]:
    """The fields of each message, by its name: name, number, type, and whether it is repeated."""
    found: dict[str, list[Any]] = {}
    waiting = list(definitions.DESCRIPTOR.message_types_by_name.values())
    for message in waiting:
        found[message.full_name] = [[one.name, one.number, one.type, one.is_repeated] for one in message.fields]
        waiting += message.nested_types
    return found


async def ask_triton(address: str, model: str) -> dict[str, Any]:
    """tritonclient[grpc]."""
    triton = importlib.import_module("tritonclient.grpc")
    client = importlib.import_module("tritonclient.grpc.aio").InferenceServerClient(address)

    def columns(dtype: Any, datatype: str) -> list[Any]:
        made = []
        for number, field in enumerate(FIELDS):
            made.append(triton.InferInput(field, [2, 1], datatype))
            made[-1].set_data_from_numpy(FLOWERS[:, number : number + 1].astype(dtype))
        return made

    def matrix(width: int = 4) -> list[Any]:
        made = triton.InferInput("input-0", [2, width], "FP64")
        made.set_data_from_numpy(FLOWERS if width == FLOWERS.shape[1] else np.ones((2, width)))
        return [made]

    async def label(inputs: list[Any], **more: Any) -> Any:
        return (await client.infer(model, inputs, **more)).as_numpy("label")

    async def name(asked: Awaitable[Any]) -> str:
        return str((await asked).name)

    situations: dict[str, Callable[[], Awaitable[Any]]] = {
        "live": client.is_server_live,
        "ready": client.is_server_ready,
        "model ready": lambda: client.is_model_ready(model),
        "version ready": lambda: client.is_model_ready(model, "1.1.0"),
        "server": lambda: name(client.get_server_metadata()),
        "metadata": lambda: name(client.get_model_metadata(model)),
        "columns": lambda: label(columns(np.float64, "FP64")),
        "columns of FP16": lambda: label(columns(np.float16, "FP16")),
        "columns of FP32": lambda: label(columns(np.float32, "FP32")),
        "matrix": lambda: label(matrix()),
        "outputs": lambda: label(matrix(), outputs=[triton.InferRequestedOutput("label")]),
        "a version": lambda: label(matrix(), model_version="1.1.0", request_id="seven", priority=1, timeout=10**6),
        "gzip": lambda: label(matrix(), compression_algorithm="gzip"),
        "wrong": lambda: label(matrix(5)),
        "no model": lambda: client.infer("rose", matrix()),
        "no version": lambda: client.infer(model, matrix(), model_version="9"),
    }
    found = {name: await attempt(ask) for name, ask in situations.items()}
    await client.close()
    return found | {"fields": fields(importlib.import_module("tritonclient.grpc.service_pb2"))}


async def ask_kserve(address: str, model: str) -> dict[str, Any]:
    """The SDK of KServe."""
    kserve = importlib.import_module("kserve")
    made_of = importlib.import_module("kserve.protocol.infer_type").InferInput
    client = kserve.InferenceGRPCClient(address)

    def request(width: int = 4, *, binary: bool = False) -> Any:
        given = made_of("input-0", [2, width], "FP32")
        rows = FLOWERS if width == FLOWERS.shape[1] else np.ones((2, width))
        given.set_data_from_numpy(rows.astype(np.float32), binary_data=binary)
        return kserve.InferRequest(model_name=model, infer_inputs=[given])

    async def label(asked: Any) -> Any:
        answer = await client.infer(asked)
        return next(output.as_numpy() for output in answer.outputs if output.name == "label")

    situations: dict[str, Callable[[], Awaitable[Any]]] = {
        "live": client.is_server_live,
        "ready": client.is_server_ready,
        "model ready": lambda: client.is_model_ready(model),
        "typed": lambda: label(request()),
        "binary": lambda: label(request(binary=True)),
        "wrong": lambda: label(request(5)),
    }
    found = {name: await attempt(ask) for name, ask in situations.items()}
    await client.close()
    return found | {"fields": fields(importlib.import_module("kserve.protocol.grpc.grpc_predict_v2_pb2"))}


if __name__ == "__main__":
    CLIENT, ADDRESS, MODEL = sys.argv[1:]
    asked = {"triton": ask_triton, "kserve": ask_kserve}[CLIENT](ADDRESS, MODEL)
    print(json.dumps(asyncio.run(asked)))
