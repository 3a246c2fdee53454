"""gRPC at the gateway: what it makes of a call, so that a model service answers it over HTTP/1.1.

A gateway sends a call on as a request for the path that the same call has over HTTP, with the frame of gRPC as its body
and the content type `CONTENT_TYPE`. The service answers with the HTTP status of the outcome, so that everything which
reads statuses (counters, retries, ejection) sees gRPC as it sees HTTP. The gateway then makes gRPC of the response.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CONTENT_TYPE = "application/x-fairlead-grpc"
"""Of such a request and its response. Envoy would read one that begins like gRPC's own as HTTP/2's trailers demand."""
MODEL_KEYS = ("fairlead-model", "seldon-model", "mm-vmodel-id")
"""The metadata that names the model: ours, Seldon's and that of KServe's ModelMesh. The first that is there counts."""
SERVICE = "inference.GRPCInferenceService"
INFER = "ModelInfer"
METHODS = (INFER, "ModelMetadata", "ModelReady", "ServerLive", "ServerMetadata", "ServerReady")
"""The methods of the service that are answered."""
STATUS_HEADER, MESSAGE_HEADER = "grpc-status", "grpc-message"
KIND = "fairlead-kind"
"""Metadata of an error: its kind, one word, as in the problem documents of HTTP."""
MAX_TEXT = 500
"""The most characters of a sentence: it travels in a header."""
FRAME_HEAD_BYTES = 5
"""Before each message: one byte that says whether it is compressed, and its length in four."""
CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 1, 2, 3, 4, 5
PERMISSION_DENIED, RESOURCE_EXHAUSTED, ABORTED, UNIMPLEMENTED = 7, 8, 10, 12
INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 13, 14, 16
CODES: Mapping[int, int] = MappingProxyType(
    {
        400: INVALID_ARGUMENT,
        401: UNAUTHENTICATED,
        403: PERMISSION_DENIED,
        404: NOT_FOUND,
        405: UNIMPLEMENTED,
        408: DEADLINE_EXCEEDED,
        409: ABORTED,
        413: RESOURCE_EXHAUSTED,
        415: INVALID_ARGUMENT,
        421: NOT_FOUND,
        422: INVALID_ARGUMENT,
        429: RESOURCE_EXHAUSTED,
        499: CANCELLED,
        500: INTERNAL,
        501: UNIMPLEMENTED,
        502: UNAVAILABLE,
        503: UNAVAILABLE,
        504: DEADLINE_EXCEEDED,
    }
)
"""The code of gRPC for each HTTP status; others are UNKNOWN."""


def path(model: str, method: str) -> str:
    """The path to which a gateway sends a call of this method: that of the same call over HTTP, or one below it."""
    return f"/v2/models/{model}/{'infer' if method == INFER else f'grpc/{method}'}"
