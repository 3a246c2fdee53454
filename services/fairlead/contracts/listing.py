"""Digests of files and folders. Pure: takes chunks, returns hexadecimal text.

The digest of a file is its SHA-256. The digest of a folder is the SHA-256 of the listing that `sha256sum` prints for
its files, sorted by path. It can be computed without Fairlead:

    cd artifact && find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping


def of_chunks(chunks: Iterable[bytes]) -> str:
    """The digest of a file, given as chunks of its content."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
    return state.hexdigest()


def of_tree(files: Mapping[str, str]) -> str:
    """The digest of a folder: `files` maps each file's path inside it (with "/") to the file's own digest."""
    names = sorted(files, key=str.encode)
    return of_chunks(f"{files[name]}  ./{name}\n".encode() for name in names)
