"""Format `joblib`: pickles that store arrays outside the pickle stream.

Unpickling runs code, so only bytes whose digest was checked may be read here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.serving.formats import base


class Joblib:
    """`format: joblib`: a file written by `joblib.dump`."""

    def read(self, artifact: Path) -> Any:
        """Unpickle the file."""
        return base.library_of("joblib", "joblib").load(artifact)

    def write(self, value: Any, artifact: Path) -> None:
        """Pickle without compression: this loads fastest, and container image layers are compressed anyway."""
        base.library_of("joblib", "joblib").dump(value, artifact)
