"""Maps every error to its HTTP status and its problem document (RFC 9457)."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic import Field as Described
from starlette.exceptions import HTTPException

from fairlead import errors
from fairlead.contracts.gateway import LEAVING_HEADER, SPILL_REFUSED_HEADER
from fairlead.contracts.instance import LOAD_FAILED
from fairlead.serving.inference.process.messages import RaisedThere

CONTENT_TYPE = b"application/problem+json"
JSON = b"application/json"
MAX_DETAIL, MAX_KEY = 2000, 256
"""The most characters of a sentence, and of a key, in a problem document."""
CODINGS = b"gzip, deflate, zstd"
"""The content encodings of a request body that the service decodes."""

# The first match counts, so a class is listed before its base class.
STATUSES: tuple[tuple[type[errors.FairleadError], int, str], ...] = (
    (errors.Invalid, 422, "invalid"),
    (errors.Misdirected, 421, "misdirected"),
    (errors.NotFound, 404, "not-found"),
    (errors.Conflict, 409, "conflict"),
    (errors.Refused, 403, "refused"),
    (errors.Overloaded, 429, "overloaded"),
    (errors.SpillRefused, 503, "spill-refused"),
    (errors.DeadlineExceeded, 504, "deadline-exceeded"),
    (errors.CallTimedOut, 504, "call-timed-out"),
    (errors.OutOfMemory, 503, "out-of-memory"),
    (errors.LoadFailed, 503, LOAD_FAILED),
    (errors.NotReady, 503, "not-ready"),
    (errors.Unavailable, 503, "unavailable"),
    (errors.ProcessEnded, 500, "process-ended"),
    (errors.ModelFailed, 500, "model-failed"),
)

_WITHOUT_VALUES = {
    "binary_size": "the binary data has another size",
    "element_count": "the elements do not fill the shape",
    "image_broken": "the image cannot be decoded",
    "unknown_datatype": "there is no such datatype",
}
"""What is counted for the types of details whose sentence has what a client sent."""
_AUTHORS = frozenset({"value_error", "assertion_error"})
"""The types of details whose sentence an author's validator wrote."""


class ErrorDetail(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int] = Described(description='Where: "body", then the row of a list, then the field.')
    msg: str
    type: str


class ProblemDetails(BaseModel):
    """An error, in the form of RFC 9457."""

    type: str = Described(description="A stable word for the kind of error, as a URN.")
    title: str
    status: int
    detail: str
    error: str = Described(description="The same as `detail`: clients of KServe and Triton read this member.")
    request_id: str
    errors: list[ErrorDetail] | None = Described(default=None, description="Present where the request is not valid.")


class BodyTooLarge(Exception):
    """The request body is larger than the limit. The rest of it is not read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body is larger than {limit} bytes")
        self.limit = limit


class TooMuchArriving(Exception):
    """All bodies that are arriving are larger than the limit. The rest of this one is not read."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the bodies that are arriving now are larger than {limit} bytes together; send it again later"
        )


class DecodedTooLarge(Exception):
    """The request body is larger than the limit once its content encoding is undone."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request body is larger than {limit} bytes when it is decompressed")


class UnknownEncoding(Exception):
    """The service does not know the content encoding of the request."""

    def __init__(self, given: bytes) -> None:
        super().__init__(
            f"the content-encoding {_shown(given)} is not known here; send the body as it is, or with one of "
            f"{CODINGS.decode()}"
        )


class BadEncoding(Exception):
    """The body is not valid in the content encoding that its header names."""

    def __init__(self, given: bytes, reason: str) -> None:
        super().__init__(f"the body is not valid {_shown(given)}, which its content-encoding names: {reason}")


class NotJson(Exception):
    """The content type of the request is not JSON. `reason` says what to send instead, where that is not obvious."""

    def __init__(self, given: bytes, reason: str = "") -> None:
        super().__init__(reason or f"the body must be application/json, not {_shown(given)}")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the client sees it. `kind` is a stable word that clients can rely on."""

    status: int
    kind: str
    detail: str
    errors: tuple[errors.Detail, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    def body(self, request_id: str) -> bytes:
        """The problem document as JSON. What the client sent, such as a key, is shortened."""
        detail = _short(self.detail, MAX_DETAIL)
        document: dict[str, Any] = {
            "type": f"urn:fairlead:problem:{self.kind}",
            "title": title(self.status),
            "status": self.status,
            "detail": detail,
            "error": detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [
                {"loc": [_short(part, MAX_KEY) for part in e.loc], "msg": _short(e.msg, MAX_DETAIL), "type": e.type}
                for e in self.errors
            ]
        return orjson.dumps(document)

    def text(self, limit: int) -> str:
        """The sentence, with at most so many characters."""
        return str(_short(self.detail, limit))

    def head(self, body: bytes, content_type: bytes = CONTENT_TYPE) -> dict[str, Any]:
        """The ASGI message that starts the response."""
        return {
            "type": "http.response.start",
            "status": self.status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                *self.headers,
            ],
        }


def without_input(error: Exception, problem: Problem) -> str:
    """Why a request failed, in a sentence that has no value of its input: to be counted and shown."""
    if problem.errors:
        first = problem.errors[0]
        where = ".".join(part for part in first.loc if isinstance(part, str))  # without the number of the row
        # What an author's validator says may quote the value, and some sentences have a number of the client's.
        return f"{where}: {'Value error' if first.type in _AUTHORS else _WITHOUT_VALUES.get(first.type, first.msg)}"
    cause = error.__cause__ if isinstance(error, errors.ModelFailed) else None
    return problem.kind if cause is None else _raised(cause)


def _raised(cause: BaseException) -> str:
    """The name of an author's exception, and where it was raised if that is not in a library."""
    if isinstance(cause, RaisedThere):
        return f"{cause}".rstrip().rpartition("\n")[2].partition(":")[0]
    return f"{type(cause).__name__}{_place(cause)}"


def _place(cause: BaseException) -> str:
    """Where it was raised: the last line that is not a library's; empty if that is not known."""
    frames = [one for one in traceback.extract_tb(cause.__traceback__) if "site-packages" not in one.filename]
    return f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def content_type(path: str) -> bytes:
    """The content type of an error at this path.

    Below /v1 and /v2 it is the one of their protocols: the client of KServe reads `error` from application/json only.
    """
    return JSON if path.startswith(("/v1/", "/v2/")) else CONTENT_TYPE


def described(statuses: Mapping[int, str], path: str = "/") -> dict[int | str, dict[str, Any]]:
    """The responses of an OpenAPI operation that are errors: the description of each status."""
    content = {content_type(path).decode(): {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {status: {"description": text, "content": content} for status, text in statuses.items()}


def title(status: int) -> str:
    """The reason phrase of the status."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"


def of(error: Exception) -> Problem:
    """The problem for any exception. An unknown exception is a 500 that does not reveal internals."""
    match error:
        case errors.FairleadError():
            return _of_ours(error)
        case BodyTooLarge():
            # The rest of the body is not read, so the connection cannot be used again.
            return Problem(413, "too-large", f"{error}", headers=((b"connection", b"close"),))
        case TooMuchArriving():
            return Problem(429, "overloaded", f"{error}", headers=((b"retry-after", b"1"), (b"connection", b"close")))
        case DecodedTooLarge():
            return Problem(413, "too-large", f"{error}")
        case BadEncoding():
            return Problem(400, "bad-encoding", f"{error}")
        case UnknownEncoding():
            return Problem(415, "unknown-encoding", f"{error}", headers=((b"accept-encoding", CODINGS),))
        case NotJson():
            return Problem(415, "not-json", f"{error}", headers=((b"accept-post", b"application/json"),))
        case RequestValidationError():
            details = tuple(errors.Detail(tuple(e["loc"]), e["msg"], e["type"]) for e in error.errors())
            return Problem(422, "invalid", "the request is not valid", details)
        case HTTPException():
            headers = tuple((k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items())
            kind = title(error.status_code).lower().replace(" ", "-").replace("'", "")
            return Problem(error.status_code, kind, str(error.detail), headers=headers)
    return Problem(500, "internal", "the service failed; its log has the details under this request id")


def _of_ours(error: errors.FairleadError) -> Problem:
    status, kind = next((status, kind) for cls, status, kind in STATUSES if isinstance(error, cls))
    details = error.details if isinstance(error, errors.Invalid) else ()
    detail = error.message if error.hint is None else f"{error.message}. {error.hint}"
    if isinstance(error, errors.ModelFailed) and not isinstance(error, errors.ProcessEnded):
        detail = "the model could not answer this request; the service's log has the details under this request id"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, errors.Overloaded | errors.SpillRefused | errors.OutOfMemory):
        headers = ((b"retry-after", b"%d" % error.retry_after_s),)
        if isinstance(error, errors.SpillRefused):
            headers += ((SPILL_REFUSED_HEADER.encode(), b"1"),)
    elif isinstance(error, errors.NotReady):
        headers = ((b"retry-after", b"1"),)
        if isinstance(error, errors.Draining):
            headers += ((LEAVING_HEADER.encode(), b"true"),)
    return Problem(status, kind, detail, details, headers)


def _short(part: Any, limit: int) -> Any:
    """The part, but at most so many characters of a text."""
    return f"{part[: limit - 3]}..." if isinstance(part, str) and len(part) > limit else part


def _shown(given: bytes) -> str:
    return given.decode("ascii", "replace")[:100]
