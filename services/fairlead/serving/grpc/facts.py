"""`Facts`: what a service tells of itself and its model, over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

import fairlead
from fairlead import errors
from fairlead.serving.grpc import wire
from fairlead.serving.grpc.codec import Codec
from fairlead.serving.grpc.definitions import message
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.open_inference.interface import OpenInference

EXTENSIONS = ("binary_tensor_data",)


class Facts:
    """The methods of the protocol that do not call the model. Each takes the bytes of a message and returns others."""

    def __init__(self, tensors: OpenInference, codec: Codec, state: Lifecycle) -> None:
        self._tensors = tensors
        self._codec = codec
        self._state = state
        self.answers: Mapping[str, Callable[[bytes], bytes]] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
        }
        """By the name of the method. They raise Invalid, or NotFound for another model."""

    def _server_live(self, _: bytes) -> bytes:
        return _reply("ServerLiveResponse", live=_holds(self._state.check_alive))

    def _server_ready(self, _: bytes) -> bytes:
        return _reply("ServerReadyResponse", ready=_holds(self._state.check_ready))

    def _model_ready(self, body: bytes) -> bytes:
        asked = _parsed("ModelReadyRequest", body)
        self._codec.check_model(asked.name, asked.version)
        return _reply("ModelReadyResponse", ready=_holds(self._state.check_ready))

    def _server_metadata(self, _: bytes) -> bytes:
        return _reply("ServerMetadataResponse", name="fairlead", version=fairlead.__version__, extensions=EXTENSIONS)

    def _model_metadata(self, body: bytes) -> bytes:
        asked = _parsed("ModelMetadataRequest", body)
        self._codec.check_model(asked.name, asked.version)
        found = self._tensors.metadata()
        for tensor in (*found["inputs"], *found["outputs"]):
            tensor.pop("parameters", None)  # the protocol has no field for them
        return _reply("ModelMetadataResponse", **found)


def _parsed(name: str, body: bytes) -> Any:
    try:
        return message(name).FromString(body)
    except DecodeError as problem:
        raise wire.not_a_message(str(problem)) from None


def _reply(kind: str, /, **members: Any) -> bytes:
    found: bytes = message(kind)(**members).SerializeToString()
    return found


def _holds(check: Callable[[], None]) -> bool:
    """Whether a check of the lifecycle passes."""
    try:
        check()
    except errors.NotReady:
        return False
    return True
