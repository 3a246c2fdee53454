"""Asks a service or a gateway with the clients of KServe and Triton, as their users write it: `... URL MODEL`.

Runs in the environment of requirements/clients.txt, without Fairlead. Prints a JSON object: for each situation what the
client returned, or `{"raised": ...}` with the text of its exception.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import kserve
import numpy as np
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import InferInput as KServeInput
from tritonclient import http as triton

FLOWERS = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])
FIELDS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def plain(value: Any) -> Any:
    """The value as JSON data. Texts in binary form are bytes for the client of Triton."""
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    return [one.decode() if isinstance(one, bytes) else one for one in listed] if isinstance(listed, list) else listed


def attempt(ask: Callable[[], Any]) -> Any:
    """What a call returns, or the text of its exception."""
    try:
        return plain(ask())
    except Exception as error:  # each client has its own
        return {"raised": f"{type(error).__name__}: {error}"}


async def attempt_async(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The same for a coroutine."""
    try:
        return plain(await ask())
    except Exception as error:  # each client has its own
        return {"raised": f"{type(error).__name__}: {error}"}


def triton_inputs(dtype: Any, *, binary: bool = False) -> list[Any]:
    """One column per field."""
    name = {np.float32: "FP32", np.float64: "FP64"}[dtype]
    columns = []
    for number, field in enumerate(FIELDS):
        column = triton.InferInput(field, [2, 1], name)
        column.set_data_from_numpy(FLOWERS[:, number : number + 1].astype(dtype), binary_data=binary)
        columns.append(column)
    return columns


def triton_matrix() -> list[Any]:
    """All rows as one tensor."""
    matrix = triton.InferInput("input-0", [2, 4], "FP32")
    matrix.set_data_from_numpy(FLOWERS.astype(np.float32), binary_data=False)
    return [matrix]


def wrong() -> list[Any]:
    """A matrix with a column too many."""
    matrix = triton.InferInput("input-0", [1, 5], "FP64")
    matrix.set_data_from_numpy(np.ones((1, 5)), binary_data=False)
    return [matrix]


def ask_triton(url: str, model: str) -> dict[str, Any]:
    """tritonclient[http]."""
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:

        def label(inputs: list[Any], **more: Any) -> Any:
            return client.infer(model, inputs, **more).as_numpy("label")

        json_outputs = [triton.InferRequestedOutput("label", binary_data=False)]
        situations: dict[str, Callable[[], Any]] = {
            "live": client.is_server_live,
            "ready": client.is_server_ready,
            "ready with a query": lambda: client.is_server_ready(query_params={"a": 1}),
            "model ready": lambda: client.is_model_ready(model),
            "version ready": lambda: client.is_model_ready(model, "1.1.0"),
            "server": client.get_server_metadata,
            "metadata": lambda: client.get_model_metadata(model),
            "config": lambda: client.get_model_config(model),
            "stats": lambda: client.get_inference_statistics(model),
            "index": client.get_model_repository_index,
            "columns": lambda: label(triton_inputs(np.float64)),
            "columns of FP32": lambda: label(triton_inputs(np.float32)),
            "matrix": lambda: label(triton_matrix()),
            "outputs": lambda: label(triton_matrix(), outputs=json_outputs),
            "binary outputs": lambda: label(triton_matrix(), outputs=[triton.InferRequestedOutput("label")]),
            "json field": lambda: json.loads(client.infer(model, triton_matrix()).as_numpy("probabilities")[0]),
            "a version": lambda: label(triton_matrix(), model_version="1.1.0"),
            "gzip": lambda: label(triton_matrix(), request_compression_algorithm="gzip"),
            "deflate": lambda: label(triton_matrix(), request_compression_algorithm="deflate"),
            "gzip back": lambda: label(triton_matrix(), response_compression_algorithm="gzip"),
            "sequence": lambda: label(triton_matrix(), sequence_id=7, sequence_start=True, priority=1, timeout=10**6),
            "async": lambda: client.async_infer(model, triton_matrix()).get_result().as_numpy("label"),
            "binary": lambda: label(triton_inputs(np.float64, binary=True)),
            "binary and JSON": lambda: label(
                triton_inputs(np.float64, binary=True)[:2] + triton_inputs(np.float64)[2:]
            ),
            "binary and gzip": lambda: label(
                triton_inputs(np.float32, binary=True), request_compression_algorithm="gzip"
            ),
            "wrong": lambda: label(wrong()),
            "no model": lambda: client.infer("rose", triton_matrix()),
            "no version": lambda: client.infer(model, triton_matrix(), model_version="9"),
            "load": lambda: client.load_model(model),
        }
        return {name: attempt(ask) for name, ask in situations.items()}


async def ask_kserve(url: str, model: str) -> dict[str, Any]:
    """The SDK of KServe, with both of its protocols."""
    v1 = kserve.InferenceRESTClient(RESTConfig(protocol="v1"))
    v2 = kserve.InferenceRESTClient(RESTConfig(protocol="v2"))

    def matrix(columns: int = 4, *, binary: bool = False) -> kserve.InferRequest:
        given = KServeInput("input-0", [2, columns], "FP32")
        rows = np.ones((2, columns)) if columns != FLOWERS.shape[1] else FLOWERS
        given.set_data_from_numpy(rows.astype(np.float32), binary_data=binary)
        return kserve.InferRequest(model_name=model, infer_inputs=[given])

    async def label(request: kserve.InferRequest) -> Any:
        answer = await v2.infer(url, request, model_name=model)
        return next(output.data for output in answer.outputs if output.name == "label")

    instances = {"instances": FLOWERS.tolist()}
    situations: dict[str, Callable[[], Awaitable[Any]]] = {
        "v1 live": lambda: v1.is_server_live(url),
        "v1 model ready": lambda: v1.is_model_ready(url, model),
        "v1 infer": lambda: v1.infer(url, instances, model_name=model),
        "v1 explain": lambda: v1.explain(url, model, instances),
        "v1 wrong": lambda: v1.infer(url, {"instances": [[1.0, 2.0]]}, model_name=model),
        "v1 no model": lambda: v1.infer(url, instances, model_name="rose"),
        "v2 live": lambda: v2.is_server_live(url),
        "v2 ready": lambda: v2.is_server_ready(url),
        "v2 model ready": lambda: v2.is_model_ready(url, model),
        "v2 infer": lambda: label(matrix()),
        "v2 wrong": lambda: label(matrix(5)),
        "v2 binary": lambda: label(matrix(binary=True)),
        "v2 no model": lambda: v2.infer(url, matrix(), model_name="rose"),
    }
    return {name: await attempt_async(ask) for name, ask in situations.items()}


if __name__ == "__main__":
    URL, MODEL = sys.argv[1:]
    found = {f"triton {name}": answer for name, answer in ask_triton(URL, MODEL).items()}
    found |= {f"kserve {name}": answer for name, answer in asyncio.run(ask_kserve(URL, MODEL)).items()}
    print(json.dumps(found))
