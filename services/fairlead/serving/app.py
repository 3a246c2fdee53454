"""The composition root of the model service: `App` creates and connects all parts, and `run` serves a model folder."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import fairlead
from fairlead import errors, logs
from fairlead.serving import cpu_quota, failure_file
from fairlead.serving.formats import artifact
from fairlead.serving.formats import folder as folders
from fairlead.serving.http import (
    answer_records,
    api,
    body,
    disconnects,
    dispatch,
    docs,
    endpoint,
    exchange,
    fast_path,
    feedback,
    golden,
    grpc_calls,
    health,
    json_protocols,
    listening,
    secure_port,
    server,
    uploads,
)
from fairlead.serving.http import drift as drift_metrics
from fairlead.serving.inference import admission, bounds, contract, dataplane, heap, lifecycle, side_thread
from fairlead.serving.inference.batch import Batch
from fairlead.serving.inference.served import NEVER_AGAIN, Served, StartAgain
from fairlead.serving.inputs.fitted_settings import fitted
from fairlead.serving.observe import answers, compared_fields, drift, metrics, otlp, recording, traces
from fairlead.serving.observe.board import Board
from fairlead.serving.observe.feedback import feedback_of
from fairlead.serving.observe.service_totals import totals_of
from fairlead.serving.open_inference import interface
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)
NO_MADE_UP_ROWS = "FAIRLEAD_NO_MADE_UP_ROWS"
"""The variable in which a service that starts again tells itself why it asks the model no made-up rows."""

GRPC_PACKAGES = frozenset({"google", "grpc", "grpc_health", "grpc_reflection"})
"""The modules of the extra `grpc`."""

MOST_DECODERS = 4
"""The most threads that decode images: each needs the memory of the pixels of a whole image."""


class App:
    """The service as an ASGI application. The attributes are the parts that the server process and the tests use."""

    def __init__(
        self,
        served: Served,
        settings: Settings,
        when_ready: Callable[[], None],
        start_again: StartAgain,
        board: Board,
        spans: otlp.Target | None,
    ) -> None:
        manifest = served.manifest
        settings = fitted(settings, manifest)
        # Below HTTP: metrics, lifecycle, the contract of the model, and the data plane that calls it.
        self.metrics = metrics.Metrics(manifest.name, manifest.version, board)
        self.metrics.serving(
            artifact=manifest.artifact.sha256 if manifest.artifact else "",
            folder=settings.folder_sha256,
            format=manifest.format,
            fairlead=fairlead.__version__,
        )
        self.state = lifecycle.Lifecycle(board)
        terms = contract.Contract(
            served.row_type,
            served.answer_type,
            settings.max_request_rows,
            bounds.Limits(settings.max_request_values, settings.max_row_keys, settings.max_answer_bytes),
        )
        self.drift = drift.Drift(
            manifest.name, manifest.version, served.profile, served.answer_type, terms.memory, board.memory
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exporter = otlp.Exporter(spans, manifest.name, manifest.version, self._count_spans) if spans else None
        self._tracer = traces.Tracer(time.monotonic, self._exporter.add) if self._exporter else None
        self.plane = dataplane.DataPlane(
            served,
            terms,
            self.state,
            settings,
            self.metrics,
            when_ready,
            start_again,
            self._keep(),
            self._tracer.keep if self._tracer else None,
        )

        # One endpoint object for each of the three protocols.
        tensors = interface.OpenInference(terms, manifest)
        decoders = {"predict": json_protocols.plain(terms), "v1": json_protocols.kserve_v1(terms), "v2": tensors.decode}
        files = uploads.of(terms, manifest)
        of_uploads = files.decoders(terms) if files is not None else {}
        has_files = terms.memory.has_files
        reader = compared_fields.Reader(served.answer_type)
        self.answers = answers.AnswerRecords(reader, settings.answers_bytes, board.memory)
        receiving = body.Receiving(settings.queue_bytes)
        # Decoding an image leaves the interpreter to others.
        threads = min(MOST_DECODERS, cpu_quota.available()) if has_files else 1
        self._aside = side_thread.SideThread(settings.queue_bytes, threads)
        self.feedback = feedback_of(served, settings, board.memory)
        recorder = self._recorder(served, settings, terms, board)
        self.grpc = self._grpc(tensors, settings, recorder)
        self.metrics.queue_bytes.set_function(lambda: self.plane.queued_memory + self._aside.held)
        # What every endpoint of this model has in common, over HTTP and for calls of gRPC.
        shared = (
            self.plane,
            disconnects.DisconnectWatcher(),
            settings.max_body_bytes,
            self.answers,
            receiving,
            self._aside,
            manifest.version,
        )
        endpoints: dict[str, endpoint.Endpoint] = {
            name: endpoint.Endpoint(
                decode,
                *shared,
                tensors.decode_mixed if name == "v2" else None,
                of_uploads.get(name),
                has_files=has_files,
            )
            for name, decode in decoders.items()
        }
        if served.explains:
            of_explanations = admission.Explanations(self.plane), *shared[1:]
            endpoints["v1-explain"] = endpoint.ExplainEndpoint(
                json_protocols.kserve_v1_explain(terms), *of_explanations, has_files=has_files
            )
        operations = api.operations(terms, manifest, served.golden, tensors, endpoints, files)

        # FastAPI has every route and documents it.
        self.api = api.ModelApi(manifest, terms)
        self.api.router.lifespan_context = self.lifespan
        self.api.include_router(api.router(operations))
        if not served.explains:
            self.api.include_router(api.no_explanations(manifest))
        self.api.include_router(health.router(manifest, self.state, tensors, self.metrics, settings.service))
        self.api.include_router(drift_metrics.router(self.drift, self.feedback))
        self.api.include_router(feedback.router(self.feedback, settings.max_body_bytes, receiving))
        self.api.include_router(golden.router(served.golden, manifest.tolerance, served.row_type, served.answer_type))
        own_processes = manifest.isolation == "process"
        totals = totals_of(self.metrics, self.feedback, self.drift, served.profile, knows_cpu=not own_processes)
        self.api.include_router(answer_records.router(self.answers, totals))
        self.api.include_router(docs.router(self.api))

        # Calls of gRPC that a gateway sends on.
        calls = grpc_calls.GrpcCalls(
            lambda: _of_grpc("messages").Messages(tensors, terms, self.state),
            lambda decode: grpc_calls.GrpcEndpoint(decode, *shared, has_files=has_files),
            receiving,
        )

        # A request passes these in reverse order: the envelope, then the dispatcher, then FastAPI.
        by_path = {path: operation for operation in operations for path in operation.paths}
        self.dispatcher = dispatch.Dispatcher(
            self.api, {path: operation.endpoint for path, operation in by_path.items()}
        )
        self.envelope = exchange.Envelope(
            self.dispatcher,
            model=manifest.name,
            version=manifest.version,
            protocols={path: operation.protocol for path, operation in by_path.items()},
            state=self.state,
            meter=self.metrics,
            problem_counts=self.answers.problems,
            tracer=self._tracer,
            recorder=recorder,
            has_cache=self.plane.keys is not None,
            others={grpc_calls.CONTENT_TYPE: exchange.Other(calls, grpc_calls.GrpcExchange, grpc_calls.PROTOCOL)},
        )
        self.metrics.in_flight.set_function(lambda: self.envelope.in_flight + (self.grpc.in_flight if self.grpc else 0))
        # The server offers each completely received request to the fast path, which needs no asyncio task for it.
        self.fast_path = fast_path.FastPath(self.envelope, self.dispatcher)

    def _keep(self) -> Callable[[Batch], None] | None:
        """What is given each batch that has ended."""
        drift_keep, tracer = self.drift.keep, self._tracer
        if tracer is None:
            return drift_keep
        if drift_keep is None:
            return tracer.keep

        def keep(batch: Batch) -> None:
            drift_keep(batch)
            tracer.keep(batch)

        return keep

    def _recorder(
        self, served: Served, settings: Settings, terms: contract.Contract, board: Board
    ) -> recording.Recorder | None:
        workers, count = board.memory.workers, self._count_recorded
        return recording.recorder_of(served, settings, workers, terms.memory, terms.encode_many, count)

    # Metrics belong to the event loop, and these are told on other threads.
    def _count_spans(self, outcome: otlp.Outcome, requests: int) -> None:
        self._on_the_loop(self.metrics.spans_sent, outcome, requests)

    def _count_recorded(self, outcomes: Mapping[recording.Outcome, int]) -> None:
        self._on_the_loop(self.metrics.requests_recorded, outcomes)

    def _on_the_loop(self, count: Callable[..., None], *what: Any) -> None:
        assert self._loop is not None  # no request was answered before the start
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(count, *what)

    def _grpc(self, tensors: interface.OpenInference, settings: Settings, recorder: recording.Recorder | None) -> Any:
        """The gRPC server, if there is to be one. Raises Unavailable without the packages that it needs."""
        if settings.grpc_port is None:
            return None
        module = _of_grpc("server", " Or leave `grpc_port` out.")
        admitted = admission.Admission(self.plane, self._aside)
        return module.Server(tensors, self.plane, admitted, self.metrics, self.answers.problems, settings, recorder)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer a request."""
        await self.envelope(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Load the model at startup, stop the worker threads at shutdown. Called by the ASGI server and by tests."""
        if self.api.user_middleware or self.api.router.dependencies:
            self.dispatcher.disable()
            logger.warning(
                "the fast path is off: middleware or dependencies were added, so every request goes through FastAPI"
            )
        self.plane.start()
        self._loop = asyncio.get_running_loop()
        if self._exporter is not None:
            self._exporter.start()
        if self.envelope.recorder is not None:
            self.envelope.recorder.start()
        try:
            if self.grpc is not None:
                await self.grpc.start()
            yield
        finally:
            if self.grpc is not None:
                await self.grpc.stop()
            self.plane.close()
            self._aside.close()
            self.drift.close()
            if self._exporter is not None:
                self._exporter.close()
            if self.envelope.recorder is not None:
                self.envelope.recorder.close()


def _of_grpc(name: str, or_else: str = "") -> Any:
    """A module of the room `grpc`. Raises Unavailable without the packages that it needs."""
    try:
        return importlib.import_module(f"fairlead.serving.grpc.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in GRPC_PACKAGES:
            raise
        raise errors.Unavailable(
            f"gRPC needs {error.name}, which is not installed",
            hint=f"Install it in a clone of Fairlead: pip install -e '.[grpc]'.{or_else}",
        ) from error


def build_app(
    served: Served,
    settings: Settings | None = None,
    when_ready: Callable[[], None] = lambda: None,
    start_again: StartAgain = NEVER_AGAIN,
    board: Board | None = None,
    spans: otlp.Target | None = None,
) -> App:
    """The service for a model folder that has been read. The model itself is loaded when the server starts.

    `when_ready` is called once, on the event loop, when the model is loaded and before the first request is answered.
    `board` is shared with other workers that serve the same folder; None: there are none. `spans` is where spans go.
    """
    settings = settings or Settings()
    board = board or Board(answers.memory_for(settings.answers_bytes, more=settings.feedback_bytes))
    return App(served, settings, when_ready, start_again, board, spans)


def _start_again(reason: str) -> None:
    """Replace the program of this process by itself: all its threads end, and its sockets are closed."""
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, NO_MADE_UP_ROWS: reason})


def run(folder: Path, settings: Settings) -> None:
    """Serve a model folder until a signal arrives. Raises FairleadError if the service cannot start.

    With a `failure_file`, it also raises NotReady once the model cannot be served, and the file says why.
    """
    with failure_file.written(settings.failure_file):
        _serve(folder, settings)


def _serve(folder: Path, settings: Settings) -> None:
    logs.configure(settings.log_level, log_format=settings.log_format)
    # Listen before loading anything: probes get an answer from now on, and a busy port is an error at once.
    listener = listening.listen(settings.host, settings.port)
    if settings.grpc_port:
        listening.listen(settings.host, settings.grpc_port, "--grpc-port").close()  # gRPC opens it later, by itself
    secure = secure_port.secure_port(settings)
    with listener, contextlib.closing(secure) if secure else contextlib.nullcontext():
        if settings.check_folder:
            artifact.check_folder(folder, settings.folder_sha256)
        again = StartAgain(os.environ.pop(NO_MADE_UP_ROWS, ""), _start_again)
        spans = otlp.target_of(os.environ)
        app = build_app(folders.load_folder(folder), settings, heap.freeze, again, spans=spans)
        logger.info(
            "listening",
            extra={
                "url": listening.url(listener),
                "model": app.envelope.model,
                "version": app.envelope.version,
                "pid": os.getpid(),
            },
        )
        if secure is not None:
            secure.tell()
        stops = app.grpc.begin_to_stop if app.grpc else lambda: None
        server.server(app.envelope, app.fast_path, app.state, settings, stops, secure).run(sockets=[listener])
    if settings.failure_file is not None and (failure := app.state.failure):
        raise failure
    logger.info("stopped")
