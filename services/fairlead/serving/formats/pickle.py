"""Format `pickle`: Python's own pickle.

Unpickling runs code, so only bytes whose digest was checked may be read here.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

PROTOCOL = 5  # fixed, so that the bytes do not depend on the Python version that writes them


class Pickle:
    """`format: pickle`: a file written by `pickle.dump`."""

    def read(self, artifact: Path) -> Any:
        """Unpickle the file."""
        with artifact.open("rb") as file:
            return pickle.load(file)

    def write(self, value: Any, artifact: Path) -> None:
        """Pickle with a fixed protocol."""
        with artifact.open("wb") as file:
            pickle.dump(value, file, protocol=PROTOCOL)
