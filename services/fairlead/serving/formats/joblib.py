"""Format `joblib`: pickles that store arrays outside the pickle stream.

Unpickling runs code, so only bytes whose digest was checked may be read here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead.serving.formats import base

_COPY_ON_WRITE = "c"
"""How arrays are mapped: a page is shared until somebody writes to it, so none of them is read-only."""


@dataclass(frozen=True)
class Joblib:
    """`format: joblib`: a file written by `joblib.dump`."""

    maps: bool = False
    """Whether arrays are mapped into memory, if the file is not compressed. It must then stay."""

    def mapping(self) -> Joblib:
        """The same format, which maps arrays."""
        return replace(self, maps=True)

    def read(self, artifact: Path) -> Any:
        """Unpickle the file."""
        load = base.library_of("joblib", "joblib").load
        if not self.maps:
            return load(artifact)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*mmap_mode", category=UserWarning)  # a compressed file
            return load(artifact, mmap_mode=_COPY_ON_WRITE)

    def write(self, value: Any, artifact: Path) -> None:
        """Pickle without compression: this loads fastest, and container image layers are compressed anyway."""
        base.library_of("joblib", "joblib").dump(value, artifact)
