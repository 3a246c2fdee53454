"""The gRPC server: what it bounds, when it listens, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from fairlead import errors
from fairlead.serving.grpc.arriving import Arriving, OfOthers
from fairlead.serving.grpc.calls import Calls
from fairlead.serving.grpc.codec import Codec
from fairlead.serving.grpc.definitions import DESCRIBED, POOL, SERVICE
from fairlead.serving.grpc.health import Health
from fairlead.serving.grpc.service import Service
from fairlead.serving.inference.admission import Admission
from fairlead.serving.inference.dataplane import DataPlane
from fairlead.serving.observe import metrics
from fairlead.serving.observe.problem_counts import ProblemCounts
from fairlead.serving.observe.recording import Recorder
from fairlead.serving.open_inference.interface import OpenInference
from fairlead.serving.settings import Settings

WINDOW = 64 * 1024
"""The bytes of a message that arrive before this service reads it."""
LEAST_CALLS = 64
"""How many calls there may be at the same time at least; more, if `queue_bytes` has room for their windows."""
CALLS_OF_A_CONNECTION = 128
"""How many calls one connection may have at a time; Envoy's and nginx's limit for HTTP/2 is about as high."""
HEAD_BYTES = 16 * 1024
"""The most bytes of a request's metadata."""

logger = logging.getLogger(__name__)


class Server:
    """Serves one model over gRPC, beside HTTP and with the same data plane."""

    def __init__(
        self,
        tensors: OpenInference,
        plane: DataPlane,
        admission: Admission,
        meter: metrics.Metrics,
        problem_counts: ProblemCounts,
        settings: Settings,
        recorder: Recorder | None = None,
    ) -> None:
        self._settings = settings
        manifest = tensors.manifest
        self._health = Health(plane.state)
        identity = {"x-model-name": manifest.name, "x-model-version": manifest.version}
        self._calls = Calls(identity, plane.clock, meter, problem_counts, recorder)
        self._most_calls = max(LEAST_CALLS, settings.queue_bytes // WINDOW)
        messages = max(1, settings.queue_bytes // settings.max_body_bytes)
        self._arriving = Arriving(messages, self._most_calls, settings.receive_s)
        self._service = Service(tensors, Codec(tensors, plane.terms), plane, admission, self._calls, self._arriving)
        self._server: Any = None
        self._stopping: asyncio.Task[None] | None = None
        self.port = 0
        """Where it listens."""

    @property
    def in_flight(self) -> int:
        """Predictions that are being answered."""
        return self._calls.in_flight

    async def start(self) -> None:
        """Listen. Raises Conflict if the port is busy."""
        settings = self._settings
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body_bytes),
                ("grpc.max_send_message_length", -1),  # max_answer_bytes bounds the answers
                ("grpc.max_metadata_size", HEAD_BYTES),
                ("grpc.max_concurrent_streams", CALLS_OF_A_CONNECTION),
                ("grpc.so_reuseport", 0),  # with it, a busy port would be shared without a word
                ("grpc.http2.bdp_probe", 0),  # it widens the window of messages that nobody reads yet
                ("grpc.http2.lookahead_bytes", WINDOW),
            ],
            interceptors=(OfOthers(self._arriving, SERVICE),),
            maximum_concurrent_rpcs=self._most_calls,
        )
        self._server.add_generic_rpc_handlers((self._service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(DESCRIBED, self._server, pool=POOL)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self.port = self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError as cause:
            await self._server.start()  # one that was never started cannot be stopped, and complains at the exit
            await self._server.stop(None)
            raise errors.Conflict(
                f"cannot listen for gRPC on {settings.host}, port {settings.grpc_port}: it is taken",
                hint="Choose another port with --grpc-port.",
            ) from cause
        await self._server.start()
        logger.info("listening for gRPC", extra={"address": f"{host}:{self.port}"})

    def begin_to_stop(self) -> None:
        """Take no more calls. Those that run have `finish_s` seconds to end."""
        if self._server is not None and self._stopping is None:
            self._stopping = asyncio.create_task(self._server.stop(self._settings.finish_s))

    async def stop(self) -> None:
        """Stop, and wait for it."""
        self.begin_to_stop()
        if self._stopping is not None:
            await self._stopping
