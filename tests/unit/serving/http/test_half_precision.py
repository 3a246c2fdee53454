"""FP16 and BF16: declared in a manifest, and the same values in every protocol."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import networks
from fairlead.serving.formats.datatypes import BF16, to_bf16
from fairlead.serving.formats.row_forms import RowForm
from fairlead.serving.settings import Settings
from support.grpc_client import connected, infer, tensor
from support.small_models import Served, ask, running

KINDS = {"FP16": np.dtype("<f2"), "BF16": BF16}
LARGEST = {"FP16": 65504.0, "BF16": (2 - 2**-7) * 2.0**127}
SENT = [0.1, -2.5, 0.0]
HELD = {"FP16": [0.0999755859375, -2.5, 0.0], "BF16": [0.10009765625, -2.5, 0.0]}
V2 = "/v2/models/echo/infer"


class Echo:
    """A network that returns what it gets, in float32. It is its own format."""

    inputs = outputs = None
    unstated = frozenset[str]()
    row_form = RowForm.OF_A_BATCH

    def __init__(self) -> None:
        self.given: Any = None

    def read(self, artifact: Path) -> Any:
        return self

    def write(self, value: Any, artifact: Path) -> None:
        raise NotImplementedError

    def run(self, arrays: Any, wanted: Any) -> Any:
        self.given = arrays["x"]
        if self.given.dtype == BF16:
            return [(self.given.view("<u2").astype("<u4") << 16).view("<f4").reshape(self.given.shape)]
        return [self.given]


def echo(datatype: str) -> tuple[Served, Echo]:
    tensors = [{"name": name, "datatype": datatype, "shape": [-1, 3]} for name in "xy"]
    stated = {"name": "echo", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}
    manifest = Manifest.model_validate(stated | {"inputs": tensors[:1], "outputs": tensors[1:]})
    network = Echo()
    model_class = networks.model_class(manifest, network)

    def start() -> Any:
        model = model_class()
        model.load(Path())
        return model

    return Served(start, model_class.row_type, model_class.answer_type, (), manifest), network


def raw(datatype: str, numbers: list[float]) -> bytes:
    array = np.array(numbers)
    return (to_bf16(array) if datatype == "BF16" else array.astype("<f2")).tobytes()


@pytest.mark.parametrize("datatype", KINDS)
def test_every_protocol_gives_the_same_half_precision_numbers(datatype: str) -> None:
    served, network = echo(datatype)
    held = HELD[datatype]
    stated = {"name": "x", "shape": [1, 3], "datatype": datatype}

    async def check() -> None:
        async with running(served, Settings(grpc_port=0)) as app, connected(app.grpc.port) as client:
            plain = await ask(app, "POST", "/predict", json.dumps({"x": SENT}).encode())
            assert json.loads(plain.body) == {"y": held}
            assert network.given.dtype == KINDS[datatype]
            v1 = await ask(app, "POST", "/v1/models/echo:predict", json.dumps({"instances": [{"x": SENT}]}).encode())
            assert json.loads(v1.body) == {"predictions": [{"y": held}]}
            for sent in (datatype, "FP64", "FP32"):
                body = json.dumps({"inputs": [{**stated, "datatype": sent, "data": SENT}]}).encode()
                (output,) = json.loads((await ask(app, "POST", V2, body)).body)["outputs"]
                assert (output["datatype"], output["data"]) == (datatype, held)
            bits = raw(datatype, SENT)
            parameters = {"binary_data_size": len(bits)}
            document = {"inputs": [{**stated, "parameters": parameters}], "parameters": {"binary_data_output": True}}
            head = json.dumps(document).encode()
            headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
            reply = await ask(app, "POST", V2, head + bits, headers)
            assert reply.body[int(reply.headers["inference-header-content-length"]) :] == raw(datatype, held)
            answer = await client.ask("ModelInfer", infer("echo", tensor("x", datatype, [1, 3]), raw=[bits]))
            assert (answer.outputs[0].datatype, list(answer.raw_output_contents)) == (datatype, [raw(datatype, held)])

    asyncio.run(check())


@pytest.mark.parametrize("datatype", KINDS)
def test_the_largest_number_is_taken_and_a_larger_one_refused(datatype: str) -> None:
    largest = LARGEST[datatype]

    async def check() -> None:
        async with running(echo(datatype)[0]) as app:
            taken = await ask(app, "POST", "/predict", json.dumps({"x": [largest, -largest, 0]}).encode())
            assert json.loads(taken.body) == {"y": [largest, -largest, 0.0]}
            refused = await ask(app, "POST", "/predict", json.dumps({"x": [0, 0, largest * 1.001]}).encode())
            assert (refused.status, json.loads(refused.body)["errors"][0]["loc"]) == (422, ["body", "x", 2])
            metadata = json.loads((await ask(app, "GET", "/v2/models/echo")).body)
            assert [one["datatype"] for one in (*metadata["inputs"], *metadata["outputs"])] == [datatype] * 2

    asyncio.run(check())


@pytest.mark.parametrize("datatype", KINDS)
def test_a_binary_tensor_stays_an_array_on_its_way(datatype: str) -> None:
    served, network = echo(datatype)
    bits = raw(datatype, HELD[datatype] * 2)
    stated = {"name": "x", "shape": [2, 3], "datatype": datatype, "parameters": {"binary_data_size": len(bits)}}
    head = json.dumps({"inputs": [stated]}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}

    async def check() -> None:
        async with running(served) as app:
            reply = await ask(app, "POST", V2, head + bits, headers)
            assert json.loads(reply.body)["outputs"][0]["data"] == HELD[datatype] * 2

    asyncio.run(check())
    assert network.given.tobytes() == bits
