"""Reads the form that a page of this console sent, within limits."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from fairlead import errors
from fairlead.control.origins import is_own_page

MAX_BYTES = 256 << 10
MAX_FIELDS = 16
TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """The fields. Raises Refused unless a page of this host and port sent it, and Invalid if it is no form, or large.

    A browser may send such a form for any page, so the origin is checked before anything is read.
    """
    if not is_own_page(request.headers):
        raise errors.Refused("this form was not sent by a page of this console")
    if request.headers.get("content-type", "").partition(";")[0].strip() != TYPE:
        raise errors.Invalid(f"the body must be a form: {TYPE}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise errors.Invalid(f"the form has more than {MAX_BYTES >> 10} KiB")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise errors.Invalid("the form cannot be read") from None
