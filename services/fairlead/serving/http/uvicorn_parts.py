"""Checks, before the server starts, that uvicorn has the parts that `connection` extends.

These parts are not uvicorn's public interface. pyproject.toml allows only the versions that are tested. Where another
one is installed all the same, a part that is missing must not make requests fail: the service then uses uvicorn as it
is, without the fast path.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import uvicorn

MODULE = "uvicorn.protocols.http.httptools_impl"
_METHODS = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "eof_received": [],
    "pause_writing": [],
    "resume_writing": [],
    "on_response_complete": [],
    "send_400_response": ["msg"],
    "timeout_keep_alive_handler": [],
    "_start_asgi_task": ["cycle", "app"],
    "_unset_keepalive_if_required": [],
}
_PROTOCOL_ATTRIBUTES = (
    *("cycle", "connections", "flow", "loop", "pipeline", "scope", "server_state", "tasks", "timeout_keep_alive"),
    *("timeout_keep_alive_task", "transport"),
)
_CYCLE_ATTRIBUTES = (
    *("body", "default_headers", "disconnected", "flow", "keep_alive", "more_body", "on_response"),
    *("response_complete", "response_started", "scope", "transport", "waiting_for_100_continue"),
)
_USES = (
    # A request must pass through the method that we replace, and its `connection: close` must be known by then.
    ("on_headers_complete", "_start_asgi_task"),
    ("on_headers_complete", "should_keep_alive"),
    ("data_received", "_unset_keepalive_if_required"),
)


def difference() -> str:
    """What is not as expected, in words; empty if everything is."""
    try:
        module = importlib.import_module(MODULE)
        found = next(differences(module.HttpToolsProtocol, module.RequestResponseCycle), "")
    except (ImportError, AttributeError) as problem:
        found = f"{problem}"
    return f"uvicorn {uvicorn.__version__}: {found}" if found else ""


def differences(protocol: type[Any], cycle: type[Any]) -> Iterator[str]:
    """What these two classes lack of what `connection` uses, in words."""
    for name, parameters in _METHODS.items():
        method = getattr(protocol, name, None)
        if method is None:
            yield f"{protocol.__name__} has no {name}"
        elif list(inspect.signature(method).parameters)[1:] != parameters:
            yield f"{protocol.__name__}.{name} has other parameters than {', '.join(parameters) or 'none'}"
    for name, used in _USES:
        if used not in _names(protocol, name):
            yield f"{protocol.__name__}.{name} does not use {used}"
    for owner, attributes in ((protocol, _PROTOCOL_ATTRIBUTES), (cycle, _CYCLE_ATTRIBUTES)):
        for attribute in attributes:
            if attribute not in _names(owner, "__init__"):
                yield f"{owner.__name__} sets no {attribute}"
    if not hasattr(cycle, "send"):
        yield f"{cycle.__name__} has no send"


def _names(owner: type[Any], method: str) -> tuple[str, ...]:
    """The names of the attributes that a method uses or sets."""
    names: tuple[str, ...] = getattr(owner, method).__code__.co_names
    return names
