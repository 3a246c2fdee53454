"""Reading the files of a model folder, without importing any of its code."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO

from fairlead import errors
from fairlead.contracts import listing, manifest_file
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.route import VersionSpec


def version_spec(folder: Path, instances: int = 1) -> tuple[Manifest, VersionSpec]:
    """The folder's manifest, and the version spec made from it. Reads every file of the folder.

    Raises NotFound or Invalid if it is not a folder that can be served as a version.
    """
    manifest = manifest_file.read(folder)
    artifact = manifest.artifact.sha256 if manifest.artifact else ""
    digest = listing.of_tree(digests(folder))
    return manifest, VersionSpec(source=str(folder.absolute()), folder=digest, artifact=artifact, instances=instances)


NOT_PART_OF_IT = (
    *("__pycache__", ".*_cache", ".venv", ".git", ".ipynb_checkpoints", ".DS_Store", "*.swp", "*~"),
    ".fairlead",
)
"""Files and folders that tools write beside the model, this one too: neither copied nor hashed."""
CHUNK_BYTES = 1 << 20


def files_of(folder: Path) -> dict[str, Path]:
    """Every file of a version: its path in the folder, with "/", and the file. A link to a file inside counts as one.

    Raises Invalid for anything else that would not be the same in a copy: links out of the folder, links to folders,
    devices, and names that `sha256sum` would escape.
    """
    found: dict[str, Path] = {}
    root = folder.resolve()
    for place, folders, files in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not _is_left_out(name)]
        for name in (*folders, *(one for one in files if not _is_left_out(one))):
            path = Path(place, name)
            inside = path.relative_to(root).as_posix()
            if why := _why_not_copied(path, inside, root):
                raise errors.Invalid(
                    f"{folder} cannot be deployed: {inside!r} {why}",
                    hint="a version is a copy of its folder: put the file itself there, or take it away",
                )
            if not path.is_dir():
                found[inside] = path
    return found


def _raise(error: OSError) -> None:
    raise errors.Invalid(f"{error.filename} cannot be read: {error.strerror}") from error


def _is_left_out(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in NOT_PART_OF_IT)


def _why_not_copied(path: Path, inside: str, root: Path) -> str:
    if set(inside) & {"\n", "\\"} or not inside.isprintable():
        return "has a backslash or a character in its name that cannot be printed"
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        target = Path(os.path.realpath(path))  # Path.resolve raises for a link that leads to itself
        if not target.is_relative_to(root):
            return "is a link that leads out of the folder"
        return "" if target.is_file() else "is a link that leads to no file"
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "is neither a file nor a folder"


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a version, by its path in the folder. Raises Invalid."""
    return {name: _digest(path) for name, path in files_of(folder).items()}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return listing.of_chunks(_chunks(file))
    except OSError as error:
        raise errors.Invalid(f"{path} cannot be read: {error.strerror}") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def differences(before: Mapping[str, str], now: Mapping[str, str], limit: int = 5) -> str:
    """Which files differ, as part of a sentence: "model.py was changed, notes.txt was added"."""
    said = [
        *(f"{name} was changed" for name in sorted(before.keys() & now.keys()) if before[name] != now[name]),
        *(f"{name} was added" for name in sorted(now.keys() - before.keys())),
        *(f"{name} is gone" for name in sorted(before.keys() - now.keys())),
    ]
    return ", ".join(said[:limit]) + (f", and {len(said) - limit} more" if len(said) > limit else "")
