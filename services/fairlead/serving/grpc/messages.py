"""`Messages`: the messages of calls that a gateway sends over HTTP. Nothing here needs grpcio itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairlead.serving.grpc.codec import Codec
from fairlead.serving.grpc.facts import Facts
from fairlead.serving.inference import contract
from fairlead.serving.inference.admission import DecodedRequest
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.open_inference.interface import OpenInference


class Messages:
    """`http.grpc_calls.Messages` for one model."""

    def __init__(self, tensors: OpenInference, terms: contract.Contract, state: Lifecycle) -> None:
        codec = Codec(tensors, terms)
        self._codec = codec
        self.answers: Mapping[str, Callable[[bytes], bytes]] = Facts(tensors, codec, state).answers
        """The methods that do not call the model."""

    def decode(self, message: memoryview) -> DecodedRequest:
        """Decode a ModelInferRequest. Raises Invalid or NotFound."""
        return self._codec.decode(message)
