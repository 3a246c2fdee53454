"""The messages of the protocol, from the compiled `open_inference.proto`.

They are in a pool of their own: a model may import a client of Triton or KServe, whose messages have the same names.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

COMPILED = "open_inference.binpb"
SERVICE = "inference.GRPCInferenceService"


def _pool() -> Any:
    found = descriptor_pool.DescriptorPool()
    compiled = resources.files(__package__).joinpath(COMPILED).read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        found.Add(file)
    for other in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        found.AddSerializedFile(other.serialized_pb)
    return found


POOL: Any = _pool()
"""Where reflection finds the messages."""
DESCRIBED = (
    SERVICE,
    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name,
)
"""The services that reflection lists."""
METHODS: Any = POOL.FindServiceByName(SERVICE).methods


def message(name: str) -> Any:
    """The class of a message of the protocol."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))
