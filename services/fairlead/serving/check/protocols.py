"""Asks the service, in this process and without a socket, the same rows in every protocol, and compares the answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from fairlead import errors
from fairlead.contracts.golden import Tolerance, compare
from fairlead.serving.app import App, build_app
from fairlead.serving.formats.author_code import described
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.golden_answers import differs_hint
from fairlead.serving.http import uploads
from fairlead.serving.inference import tensors
from fairlead.serving.inference.served import StartAgain
from fairlead.serving.inputs import base64_text
from fairlead.serving.open_inference.interface import OpenInference
from fairlead.serving.settings import Settings

WAIT_S = 0.005
"""How often the service is asked whether it is ready: it loads the model on a thread of its own."""

ANY_SIZE = 2**40
"""The limits on the bytes of a request belong to a deployment: each row alone may be within them, and all are not."""


class Row(NamedTuple):
    """A row as JSON, and what an error calls it: "golden row 1"."""

    name: str
    value: Any


def compare_protocols(served: ModelFolder, rows: Sequence[Row], skipped: str = "") -> list[str]:
    """Ask every row in every protocol. Returns the names of the protocols.

    `skipped` is why the service asks no made-up rows when it starts; empty if it does. Raises ModelFailed if a protocol
    gives another answer than a plain JSON object does, or none.
    """
    logged = _Logged()
    service = logging.getLogger("fairlead.serving")
    service.addHandler(logged)
    try:
        return asyncio.run(_compare(served, rows, skipped))
    except _NotAnswered as problem:
        why = described(logged.cause) if problem.status == 500 and logged.cause is not None else problem.detail
        raise errors.ModelFailed(
            f"{problem.request}: the service answers {problem.status}: {why}",
            hint="The model answers when it is called directly: look at the types of its rows and answers.",
        ) from logged.cause
    finally:
        service.removeHandler(logged)


class _Logged(logging.Handler):
    """Keeps the error of the last request: a response of the service never contains what the model raised."""

    cause: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each line that the service logs."""
        self.cause = record.exc_info[1] if record.exc_info else self.cause


class _NotAnswered(Exception):
    def __init__(self, request: str, status: int, problem: Mapping[str, Any]) -> None:
        self.request, self.status, self.detail = request, status, problem["detail"]
        self.kind = next((one["type"] for one in problem.get("errors", ())), "")


async def _compare(served: ModelFolder, rows: Sequence[Row], skipped: str) -> list[str]:
    settings = Settings(max_body_bytes=ANY_SIZE, queue_bytes=ANY_SIZE)
    app = build_app(served, settings, start_again=StartAgain(skipped))
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(WAIT_S)
        if app.state.phase != "ready":
            raise errors.ModelFailed(app.state.reason)
        values, name = [row.value for row in rows], served.manifest.name
        if is_object := all(isinstance(value, dict) for value in values):
            alone = [await _post(app, "/predict", row.value, "JSON", row.name) for row in rows]
        else:  # a row that is a list can only be sent in a list of rows
            alone = [(await _post(app, "/predict", [row.value], "a list", row.name))[0] for row in rows]
        listed = await _in_lists(values, lambda part: _post(app, "/predict", part, "a list", f"{len(part)} rows"))
        _check(rows, alone, listed, served.manifest.tolerance, "a list", differs_hint(served.manifest))

        async def in_v1(part: Sequence[Any]) -> Any:
            sent = {"instances": part}
            return (await _post(app, f"/v1/models/{name}:predict", sent, "V1", f"{len(part)} rows"))["predictions"]

        _check(rows, alone, await _in_lists(values, in_v1), served.manifest.tolerance, "V1")
        v2 = OpenInference(app.plane.terms, served.manifest)
        if not is_object:  # it has no tensors
            return ["list", "V1"]
        for row, answer in zip(rows, alone, strict=True):
            found = await _post(app, f"/v2/models/{name}/infer", {"inputs": v2.as_tensors([row.value])}, "V2", row.name)
            _check([row], [_columns(v2, answer)], [_data(v2, found)], served.manifest.tolerance, "V2")
        if (files := uploads.of(app.plane.terms, served.manifest)) is None:
            return ["JSON", "list", "V1", "V2"]
        for row, answer in zip(rows, alone, strict=True):
            data = base64_text.decoded(row.value[files.name])
            found = await _post(app, "/predict", data, "a file", row.name, b"image/*")
            _check([row], [answer], [found], served.manifest.tolerance, "a file")
    return ["JSON", "list", "V1", "V2", "file"]


async def _in_lists(values: Sequence[Any], post: Callable[[Sequence[Any]], Awaitable[Any]]) -> list[Any]:
    """The answers to the rows in one list, or in several if one would have more values than a body may have."""
    try:
        found: list[Any] = await post(values)
    except _NotAnswered as problem:
        if problem.kind != "too_many_values" or len(values) == 1:
            raise
        half = len(values) // 2
        return [*await _in_lists(values[:half], post), *await _in_lists(values[half:], post)]
    return found


async def _post(
    app: App, path: str, document: Any, protocol: str, what: str, content_type: bytes = b"application/json"
) -> Any:
    sent: list[Any] = []
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    request = {"type": "http.request", "body": body, "more_body": False}
    requests = iter([request])

    async def receive() -> Any:
        if (found := next(requests, None)) is None:
            await asyncio.Event().wait()  # the client stays connected and sends nothing more
        return found

    async def send(message: Any) -> None:
        sent.append(message)

    await app(_scope(path, content_type), receive, send)
    body = orjson.loads(b"".join(message.get("body", b"") for message in sent[1:]))
    if sent[0]["status"] != 200:
        raise _NotAnswered(f"{what}, sent as {protocol}", sent[0]["status"], body)
    return body


def _scope(path: str, content_type: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("check", 80),
        "client": ("check", 1),
        "headers": [(b"content-type", content_type)],
    }


def _check(
    rows: Sequence[Row],
    wanted: Sequence[Any],
    found: Sequence[Any],
    within: Tolerance,
    protocol: str,
    hint: str | None = None,
) -> None:
    for row, one, other in zip(rows, wanted, found, strict=True):
        if difference := compare(one, other, *within):
            message = f"{row.name} is answered differently in {protocol} than alone as JSON: {difference}"
            raise errors.ModelFailed(message, hint=hint)


def _columns(v2: OpenInference, answer: Any) -> dict[str, Any]:
    """An answer as the flat data of its output tensors; JSON text is parsed, because it may be written in two ways."""
    return {tensor.name: _parsed(tensor, tensors.column(tensor, [answer])) for tensor in v2.outputs}


def _data(v2: OpenInference, response: dict[str, Any]) -> dict[str, Any]:
    data = {output["name"]: output["data"] for output in response["outputs"]}
    return {tensor.name: _parsed(tensor, data[tensor.name]) for tensor in v2.outputs}


def _parsed(tensor: tensors.Tensor, data: list[Any]) -> list[Any]:
    return [orjson.loads(value) for value in data] if tensor.json else data
