import inspect

import orjson
import pytest
from starlette.exceptions import HTTPException

from fairlead import errors
from fairlead.serving import problems


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Invalid("x"), 422),
        (errors.ArtifactRejected("x"), 422),
        (errors.Misdirected("x"), 421),
        (errors.NotFound("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.Refused("x"), 403),
        (errors.Overloaded("x"), 429),
        (errors.DeadlineExceeded("x"), 504),
        (errors.NotReady("x"), 503),
        (errors.Unavailable("x"), 503),
        (errors.ModelFailed("x"), 500),
        (problems.BodyTooLarge(1), 413),
        (problems.NotJson(b"text/plain"), 415),
        (problems.UnknownEncoding(b"br"), 415),
        (problems.BadEncoding(b"gzip", "x"), 400),
        (problems.DecodedTooLarge(1), 413),
        (HTTPException(405), 405),
        (RuntimeError("x"), 500),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    assert problems.of(error).status == status


def test_every_class_of_the_error_tree_has_a_status() -> None:
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.FairleadError)]
    for cls in classes:
        if cls is not errors.FairleadError:
            assert problems.of(cls("x")).status


def test_a_problem_document_follows_rfc_9457_and_has_the_request_id() -> None:
    error = errors.Invalid("no", details=(errors.Detail(("body", 0, "x"), "wrong", "float_type"),))
    assert orjson.loads(problems.of(error).body("id-1")) == {
        "type": "urn:fairlead:problem:invalid",
        "title": problems.title(422),
        "status": 422,
        "detail": "no",
        "error": "no",
        "request_id": "id-1",
        "errors": [{"loc": ["body", 0, "x"], "msg": "wrong", "type": "float_type"}],
    }


def test_problem_documents_do_not_reveal_internals() -> None:
    for error in (errors.ModelFailed("a path"), RuntimeError("a path"), KeyError("a path")):
        assert "a path" not in problems.of(error).detail


def test_overloaded_has_a_retry_after_header() -> None:
    assert (b"retry-after", b"7") in problems.of(errors.Overloaded("x", retry_after_s=7)).headers
