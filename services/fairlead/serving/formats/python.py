"""Models that are their own code: `model.py` reads its artifact itself, whatever it is, or needs none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fairlead import errors


class Python:
    """`format: python`; the class named by `entry` does everything."""

    def read(self, artifact: Path) -> Any:
        """The path itself: only the author's class knows what is in it."""
        return artifact

    def write(self, value: Any, artifact: Path) -> None:
        """Copy bytes, a file or a folder; anything else has no meaning that Fairlead could guess."""
        if isinstance(value, bytes):
            artifact.write_bytes(value)
        elif isinstance(value, Path) and value.is_dir():
            shutil.copytree(value, artifact)
        elif isinstance(value, Path):
            shutil.copyfile(value, artifact)
        else:
            raise errors.Invalid(f"format 'python' writes bytes or copies a path; a {type(value).__name__} is neither")
