"""The baseline: an ASGI application that reads the body and returns as many bytes as a real response has."""

import os
from typing import Any

ANSWER = os.environ["BARE_ANSWER"].encode()
HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    await send(HEAD)
    await send({"type": "http.response.body", "body": ANSWER})
