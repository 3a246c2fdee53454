"""Imports libraries that only some models need, with an error that says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from fairlead import errors


def library(module: str, *, extra: str, needed_for: str) -> Any:
    """Import a third-party module that only some models need. Raises Unavailable, with what to install as hint."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as cause:
        raise errors.Unavailable(
            f"{needed_for} needs the Python module {module!r}, which is not installed",
            hint=f"install it in a clone of Fairlead, which is on no package index: pip install -e '.[{extra}]'",
        ) from cause
