"""What an artifact format is: a way to turn checked bytes into a Python object, and back in a training script."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from fairlead import errors


class Format(Protocol):
    """One artifact format; its name is the manifest's `format`."""

    def read(self, artifact: Path) -> Any:
        """The object in the artifact. Called only with bytes whose digest has been checked."""

    def write(self, value: Any, artifact: Path) -> None:
        """Write the object so that `read` gives an equal one; the same bytes for the same object."""


def library(module: str, *, extra: str, needed_for: str) -> Any:
    """A third-party module that only some formats need; where it is missing the error says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as cause:
        raise errors.Unavailable(
            f"{needed_for} needs the Python module {module!r}, which is not installed",
            hint=f"pip install 'fairlead[{extra}]'",
        ) from cause
