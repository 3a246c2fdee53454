"""Imports the modules that only some calls need, such as those that use the Kubernetes client or the contracts.

A rollback on a laptop neither needs the Kubernetes client nor waits for it to be imported.
"""

from __future__ import annotations

import importlib
from typing import Any

from fairlead import errors

_CLIENT_PACKAGES = ("kubernetes", "urllib3")


def load(name: str) -> Any:
    """Import a module. Raises Unavailable when it needs the Kubernetes client and that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _CLIENT_PACKAGES:
            raise
        raise errors.Unavailable(
            "cannot connect to a cluster: the Kubernetes client is not installed",
            hint="install it in a clone of Fairlead, which is on no package index: pip install -e '.[control]'",
        ) from error
