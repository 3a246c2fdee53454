"""Modules that only some calls of a command need, imported when they do.

A rollback on a laptop must not wait for the Kubernetes client, and must not need it either.
"""

from __future__ import annotations

import importlib
from typing import Any

from fairlead import errors

_CLIENT = ("kubernetes", "urllib3")


def load(name: str) -> Any:
    """The module. Raises Unavailable when it needs a package that is in an extra which is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _CLIENT:
            raise
        raise errors.Unavailable(
            "a cluster is spoken to by the Kubernetes client, which is not installed",
            hint="pip install 'fairlead[control]'",
        ) from error
