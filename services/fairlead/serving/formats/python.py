"""Format `python`: the model's own class reads the artifact, which may be any file or folder, or needs none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fairlead import errors


class Python:
    """`format: python`: the class named by `entry` reads the artifact."""

    def read(self, artifact: Path) -> Any:
        """Return the path: only the author's class knows how to read it."""
        return artifact

    def write(self, value: Any, artifact: Path) -> None:
        """Write bytes, or copy a file or a folder. Raises Invalid for any other value."""
        if isinstance(value, bytes):
            artifact.write_bytes(value)
        elif isinstance(value, Path) and value.is_dir():
            shutil.copytree(value, artifact)
        elif isinstance(value, Path):
            shutil.copyfile(value, artifact)
        else:
            raise errors.Invalid(f"format 'python' writes bytes or copies a path; a {type(value).__name__} is neither")
