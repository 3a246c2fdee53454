"""A client of the Open Inference Protocol over gRPC that sends any message, also one that no client would."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from fairlead.serving.grpc.codec import CONTENTS
from fairlead.serving.grpc.definitions import SERVICE, message

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """How a call failed."""

    code: str
    text: str
    kind: str
    """The trailing metadata `fairlead-kind`."""
    metadata: Mapping[str, str]


class Client:
    """Calls the methods on one connection."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def begin(self, method: str, body: bytes, **options: Any) -> Any:
        """Begin a call with the bytes of a message. Awaited, it is the bytes of the answer."""
        return self.channel.unary_unary(f"/{SERVICE}/{method}")(body, **options)

    async def ask(self, method: str, request: Any = None, **options: Any) -> Any:
        """The answer to a message, or a Failure."""
        body = (request or message(f"{method}Request")()).SerializeToString()
        answer = await self.send(method, body, **options)
        return answer if isinstance(answer, Failure) else message(f"{method}Response").FromString(answer)

    async def send(self, method: str, body: bytes, **options: Any) -> bytes | Failure:
        """The bytes of the answer to these bytes, or a Failure."""
        try:
            found: bytes = await self.begin(method, body, **options)
        except grpc.aio.AioRpcError as error:
            trailing = {str(key): str(value) for key, value in error.trailing_metadata() or ()}
            return Failure(error.code().name, error.details() or "", trailing.get("fairlead-kind", ""), trailing)
        return found


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """A client of the service on this port of this machine."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Client(channel)


def infer(model: str, *inputs: Any, raw: list[bytes] | None = None, outputs: tuple[str, ...] = (), **more: Any) -> Any:
    """A ModelInferRequest. The inputs are those of `tensor`."""
    request = message("ModelInferRequest")(model_name=model, inputs=inputs, **more)
    request.raw_input_contents.extend(raw or [])
    for name in outputs:
        request.outputs.add(name=name)
    return request


def tensor(name: str, datatype: str, shape: list[int], elements: list[Any] | None = None) -> Any:
    """An input, with typed contents if elements are given."""
    made = message("ModelInferRequest").InferInputTensor(name=name, datatype=datatype, shape=shape)
    if elements is not None:
        getattr(made.contents, CONTENTS[datatype]).extend(elements)
    return made


def elements(response: Any) -> dict[str, list[Any]]:
    """The elements of each output, from typed contents or from binary form. Texts are bytes."""
    found: dict[str, list[Any]] = {}
    for index, output in enumerate(response.outputs):
        if not response.raw_output_contents:
            found[output.name] = list(getattr(output.contents, CONTENTS[output.datatype]))
        elif output.datatype == "BYTES":
            found[output.name] = _texts(response.raw_output_contents[index])
        else:
            kind = output.datatype.replace("UINT", "u").replace("INT", "i").replace("FP", "f")
            bits = {"BOOL": "?"}.get(output.datatype) or f"<{kind[0]}{int(kind[1:]) // 8}"
            found[output.name] = np.frombuffer(response.raw_output_contents[index], bits).tolist()
    return found


def _texts(raw: bytes) -> list[bytes]:
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return found
