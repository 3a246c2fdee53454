"""The composition root of the model service: every part is made here, in the order in which a request meets it."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import prometheus_client

import fairlead
from fairlead import logs
from fairlead.serving.formats import folder as folders
from fairlead.serving.http import (
    answer_records,
    api,
    disconnects,
    dispatch,
    docs,
    endpoint,
    exchange,
    fast_path,
    golden,
    health,
    predict,
    server,
    v2,
)
from fairlead.serving.inference import contract, dataplane, lifecycle
from fairlead.serving.observe import answers, compared_fields, metrics
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)


class App:
    """The service as an ASGI application, with the parts that its process and its tests need to reach."""

    def __init__(self, served: dataplane.Served, settings: Settings, when_ready: Callable[[], None]) -> None:
        manifest = served.manifest
        # Below HTTP: what is counted, which phase it is in, what the model takes, how it is called.
        self.metrics = metrics.Metrics(manifest.name, manifest.version)
        self.metrics.serving(
            artifact=manifest.artifact.sha256 if manifest.artifact else "",
            format=manifest.format,
            fairlead=fairlead.__version__,
        )
        self.state = lifecycle.Lifecycle(self.metrics)
        terms = contract.Contract(served.row_type, served.answer_type, settings.max_request_rows)
        self.plane = dataplane.DataPlane(served, terms, self.state, settings, self.metrics, when_ready)

        # The three protocols, each one endpoint object.
        tensors = v2.OpenInference(terms, manifest)
        decoders = {"predict": predict.plain(terms), "v1": predict.kserve_v1(terms), "v2": tensors.decode}
        watcher = disconnects.DisconnectWatcher()
        self.answers = answers.AnswerRecords(compared_fields.Reader(served.answer_type), settings.answers_bytes)
        endpoints = {
            name: endpoint.Endpoint(decode, self.plane, watcher, settings.max_body_bytes, self.answers)
            for name, decode in decoders.items()
        }
        operations = api.operations(terms, manifest, served.golden, tensors, endpoints)

        # FastAPI has every route, and documents them.
        self.api = api.ModelApi(manifest, terms)
        self.api.router.lifespan_context = self.lifespan
        self.api.include_router(api.router(operations))
        self.api.include_router(health.router(manifest, self.state, tensors, self.metrics, settings.service))
        self.api.include_router(golden.router(served.golden, manifest.rtol))
        self.api.include_router(answer_records.router(self.answers))
        self.api.include_router(docs.router(self.api))

        # A request meets these from the last line upwards: the envelope, then the front, then FastAPI.
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
        )
        # What is all here when it is read skips the envelope's task; the server offers it.
        self.fast_path = fast_path.FastPath(self.envelope, self.dispatcher)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer a request."""
        await self.envelope(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncIterator[None]:
        """Load at the start, let the threads end at the end; ASGI servers call it, and so may tests."""
        if self.api.user_middleware or self.api.router.dependencies:
            self.dispatcher.disable()
            logger.warning(
                "the fast way is off: middleware or dependencies were added, so every request goes by FastAPI"
            )
        self.plane.start()
        try:
            yield
        finally:
            self.plane.close()


def build_app(
    served: dataplane.Served, settings: Settings | None = None, when_ready: Callable[[], None] = lambda: None
) -> App:
    """The service for a model that has been read and not yet loaded; it loads when the server starts.

    `when_ready` is called once, on the event loop, before the first request is answered.
    """
    return App(served, settings or Settings(), when_ready)


def run(folder: Path, settings: Settings) -> None:
    """Serve a model folder until a signal. Raises FairleadError where it cannot begin."""
    logs.configure(settings.log_level)
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nothing here reads
    # Listen before anything slow: from now on a prober is answered, and a busy port is known at once.
    listener = server.listen(settings.host, settings.port)
    with listener:
        app = build_app(folders.load_folder(folder), settings, freeze_heap)
        host, port = listener.getsockname()[:2]
        logger.info(
            "listening",
            extra={
                "url": f"http://{f'[{host}]' if ':' in host else host}:{port}",
                "model": app.envelope.model,
                "version": app.envelope.version,
                "pid": os.getpid(),
            },
        )
        server.server(app.envelope, app.fast_path, app.state, settings).run(sockets=[listener])
    logger.info("stopped")


def freeze_heap() -> None:
    """Tell the garbage collector that what has been loaded stays.

    The libraries and the model are hundreds of thousands of objects, and none of them will ever be garbage. A
    request's objects die by reference count; looking for cycles among them every 700 allocations took 8 % of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
