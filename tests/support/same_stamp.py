"""Files whose content changes and whose time and size do not, as if what is in them had become usable by itself."""

from __future__ import annotations

import os
from pathlib import Path


def spoil(path: Path) -> bytes:
    """Write something else of the same size; returns what was there."""
    good = path.read_bytes()
    path.write_bytes(b"x" * len(good))
    return good


def mend(path: Path, good: bytes) -> None:
    """Write back what was there. Time and size stay."""
    found = path.stat()
    path.write_bytes(good)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
