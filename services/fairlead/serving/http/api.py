"""The FastAPI application with every route, and the OpenAPI document generated from the model's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving import problems
from fairlead.serving.http import endpoint, exchange
from fairlead.serving.http.uploads import Uploads
from fairlead.serving.inference.contract import Contract
from fairlead.serving.inference.warmup import Golden
from fairlead.serving.open_inference import interface, messages
from fairlead.serving.open_inference.binary_form import CONTENT_TYPE, HEADER

EXAMPLES = 3  # golden rows shown on the docs page
EXAMPLE_BYTES = 20_000  # a row with an image in it may be longer than the page
_REF = "#/components/schemas/{model}"
_EXPLANATIONS = {
    "type": "object",
    "description": "Explanations, in KServe's V1 form: one JSON value for each row.",
    "required": ["explanations"],
    "properties": {"explanations": {"type": "array", "items": {}}},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One prediction operation of the API: its paths, protocol, endpoint, and the schemas of request and response."""

    paths: tuple[str, ...]
    protocol: str
    summary: str
    endpoint: endpoint.Endpoint
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    takes_binary: bool = False
    """Whether tensors may follow the JSON in binary form, in the request and in the response."""
    uploads: Mapping[str, Any] = field(default_factory=dict)
    """What else the body of a request may be, by its content type."""
    name: str = ""
    """Its name in OpenAPI, if it is not that of the protocol."""


class ModelApi(FastAPI):
    """FastAPI whose OpenAPI document also has the schemas of the prediction endpoints, which are plain ASGI."""

    def __init__(self, manifest: Manifest, terms: Contract) -> None:
        super().__init__(
            title=manifest.title or manifest.name,
            version=manifest.version,
            description=manifest.description,
            contact=manifest.contact.model_dump(exclude_none=True) if manifest.contact else None,
            license_info=manifest.license.model_dump(exclude_none=True) if manifest.license else None,
            openapi_url=None,  # served by http.docs, which handles the gateway's prefix
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        self._schemas = Schemas(terms).definitions
        self._tags = list(manifest.tags)
        for kind in (errors.FairleadError, HTTPException, RequestValidationError):
            self.add_exception_handler(kind, answer_problem)

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document with the model's schemas. Built once."""
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {})["schemas"] = self._schemas
            if self._tags:
                document["info"]["x-tags"] = self._tags
        return super().openapi()


class DelegatedResponse(Response):
    """A response that another ASGI application sends. FastAPI's routes use it to call the same endpoint objects."""

    def __init__(self, target: exchange.App) -> None:
        super().__init__()
        self._target = target

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Let the other application send the response."""
        await self._target(scope, receive, send)


async def answer_problem(request: Request, error: Exception) -> Response:
    """FastAPI's handler for exceptions of FastAPI and of our routes. Sends the problem document for the error.

    Any other exception is handled by the envelope, in the same way.
    """
    if isinstance(error, HTTPException) and error.status_code == 404:
        error = HTTPException(
            404, f"there is no path {request.url.path[:200]} here; /docs lists the paths of this service"
        )
    current: exchange.Exchange = request.scope[exchange.KEY]

    async def send_problem(scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        await current.send_problem(error, send)

    return DelegatedResponse(send_problem)


def router(operations: Sequence[Operation]) -> APIRouter:
    """A router with a POST route for every path of every operation."""
    routes = APIRouter()
    for operation in operations:
        for path in operation.paths:
            routes.add_api_route(
                path,
                _handler(operation.endpoint),
                methods=["POST"],
                tags=[operation.protocol],
                summary=operation.summary,
                include_in_schema=not path.endswith("/"),
                operation_id=f"{operation.name or operation.protocol}_{operation.paths.index(path)}",
                response_model=None,
                openapi_extra={
                    "requestBody": {
                        "required": True,
                        "content": _by_type(operation, operation.request) | dict(operation.uploads),
                    }
                },
                responses=_responses(_by_type(operation, operation.response), path),
            )
    return routes


def no_explanations(manifest: Manifest) -> APIRouter:
    """A router that says to those who ask for explanations that the model has none."""
    routes = APIRouter()

    @routes.post(f"/v1/models/{manifest.name}:explain", include_in_schema=False)
    async def explain() -> None:
        raise errors.NotFound(
            f"{manifest.name} {manifest.version} explains no answers: its class does not define `explain`",
            hint="Define explain(self, rows) beside predict; it returns one JSON value per row.",
        )

    return routes


def _handler(target: endpoint.Endpoint) -> Any:
    async def predict() -> Response:
        return DelegatedResponse(target)

    return predict


def _by_type(operation: Operation, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a body has, by its content type."""
    found: dict[str, Any] = {"application/json": dict(content)}
    if operation.takes_binary:
        description = f"JSON, and tensors in binary form after it; the header {HEADER.decode()} says where."
        found[CONTENT_TYPE.decode()] = {"schema": {"type": "string", "format": "binary", "description": description}}
    return found


def _responses(success: Mapping[str, Any], path: str) -> dict[int | str, dict[str, Any]]:
    errors = {
        400: "The body is not valid in its content-encoding.",
        413: "The body is larger than the limit, or becomes so when it is decompressed.",
        415: "The body is not of a type that this path takes, or its content-encoding is not known.",
        422: "The request is not valid; `errors` says where.",
        429: "The queue is full; retry after the seconds in Retry-After.",
        500: "The model failed.",
        503: "The service is not ready, or it refuses a request that was routed to another version.",
        504: "The deadline of x-deadline-ms passed before the model began, or the model did not return in time.",
    }
    answers = {"description": "The answers.", "content": dict(success)}
    return {200: answers, **problems.described(errors, path)}


class Schemas:
    """Every schema of the document: `definitions` by name, and the names of those that operations refer to.

    A name is that of the type, or a longer one where two types have the same name.
    """

    def __init__(self, terms: Contract) -> None:
        kinds: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
            (terms.row_type, "validation"),
            (terms.answer_type, "serialization"),
            (terms.instances_type, "validation"),
            (terms.predictions_type, "serialization"),
            (messages.InferRequest, "validation"),
            (messages.InferResponse, "serialization"),
        ]
        found, document = models_json_schema([*kinds, (problems.ProblemDetails, "serialization")], ref_template=_REF)
        self.definitions: dict[str, Any] = document["$defs"]
        self.row, self.answer, self.instances, self.predictions, self.request, self.response = (
            found[kind] for kind in kinds
        )
        row = self._defined(self.row)
        self.row_is_list = row.get("type") == "array"
        self.row_or_list = _row_or_list(terms, self.row, row.get("properties", {}))
        self._defined(self.instances)["properties"]["instances"]["items"] = self.row_or_list

    def _defined(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema, or the one that it refers to."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].removeprefix(_REF.format(model=""))]
        return schema


def _row_or_list(terms: Contract, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a row in a list: an object, or its values in the order of the fields where all are numbers."""
    if terms.positional.vector is not None:
        return {"anyOf": [row, fields[terms.positional.vector.name]]}
    if not terms.positional.scalars:
        return row
    values = [fields[field.name] for field in terms.positional.scalars]
    length = {"minItems": len(values), "maxItems": len(values)}
    description = "The values of the fields, in their order."
    return {"anyOf": [row, {"type": "array", "description": description, "prefixItems": values, **length}]}


def operations(
    terms: Contract,
    manifest: Manifest,
    golden: Sequence[Golden],
    tensors: interface.OpenInference,
    endpoints: Mapping[str, endpoint.Endpoint],
    files: Uploads | None,
) -> tuple[Operation, ...]:
    """The operations of the three protocols, with golden rows as examples. `endpoints` has the endpoint of each."""
    shown = [row for row in golden[:EXAMPLES] if len(orjson.dumps(row.input)) <= EXAMPLE_BYTES]
    rows, answers = [row.input for row in shown], [row.expected for row in shown]
    uploads = files.content() if files is not None else {}
    schemas = Schemas(terms)
    many = {"type": "array", "items": schemas.row_or_list, "minItems": 1, "maxItems": terms.max_rows}
    all_answers = {"type": "array", "items": schemas.answer}
    # A body that is a list is a list of rows, also if a row is a list.
    one_or_many = many if schemas.row_is_list else {"oneOf": [schemas.row, many]}
    one_or_all = all_answers if schemas.row_is_list else {"oneOf": [schemas.answer, all_answers]}
    base = f"/v2/models/{manifest.name}"
    found = (
        Operation(
            ("/predict", "/predict/"),
            "predict",
            "One row or a list of rows",
            endpoints["predict"],
            _content(one_or_many, {"one row": rows[:1] and rows[0], "a list": rows}),
            _content(
                one_or_all,
                {"one row": answers[:1] and answers[0], "a list": answers},
            ),
            uploads=uploads,
        ),
        Operation(
            (f"/v1/models/{manifest.name}:predict",),
            "v1",
            "KServe V1",
            endpoints["v1"],
            _content(schemas.instances, {"golden rows": rows and {"instances": rows}}),
            _content(schemas.predictions, {"golden rows": answers and {"predictions": answers}}),
            uploads=uploads,
        ),
        Operation(
            (f"{base}/infer", f"{base}/versions/{manifest.version}/infer"),
            "v2",
            "Open Inference Protocol",
            endpoints["v2"],
            _content(schemas.request, {"golden rows": rows and {"inputs": tensors.as_tensors(rows)}}),
            _content(schemas.response, {}),
            takes_binary=True,
        ),
    )
    if (explaining := endpoints.get("v1-explain")) is None:
        return found
    explain = Operation(
        (f"/v1/models/{manifest.name}:explain",),
        "v1",
        "KServe V1: one explanation for each row",
        explaining,
        _content(schemas.instances, {"golden rows": rows and {"instances": rows}}),
        _content(_EXPLANATIONS, {}),
        name="v1_explain",
    )
    return (*found, explain)


def _content(schema: Mapping[str, Any], examples: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: {"value": value} for name, value in examples.items() if value}
    return {"schema": dict(schema), **({"examples": shown} if shown else {})}
