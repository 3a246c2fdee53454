"""Checks the artifact's digest and provides a private copy of the checked bytes.

The artifact is read once: the same chunks are hashed and copied to a folder that only this user can enter. Callers
get only the copy. If the file were hashed first and opened again later, it could be replaced in between.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairlead import errors
from fairlead.contracts import listing
from fairlead.contracts.manifest import Artifact

CHUNK_BYTES = 1 << 20
_PREFIX = "fairlead-artifact-"


def inside(folder: Path, path: str, *, field: str) -> Path:
    """`path` inside `folder`, with symbolic links resolved.

    Raises Invalid if it is outside the folder, does not exist, or is neither a file nor a folder.
    """
    root = folder.resolve()
    found = Path(os.path.realpath(root / path))  # Path.resolve raises for a link that leads to itself
    if not found.is_relative_to(root) or found == root:
        raise errors.Invalid(f"fairlead.yaml: {field}: {path!r} is outside the model folder {folder}")
    if not (found.is_file() or found.is_dir()):
        raise errors.Invalid(f"fairlead.yaml: {field}: there is no {path!r} in {folder}")
    return found


@contextmanager
def checked(folder: Path, artifact: Artifact) -> Iterator[Path]:
    """A private copy of the artifact, deleted when the block ends.

    Raises ArtifactRejected if it is missing or its digest differs.
    """
    source = _source(folder, artifact)
    with _private_folder() as private:
        yield _checked_copy(source, artifact, private)


@contextmanager
def shared(folder: Path, artifact: Artifact) -> Iterator[Path]:
    """As `checked`, for processes that are forked in the block: they read one copy, and may map it into their memory.

    Only the process that made the copy deletes it. A forked one that ends leaves the block too.
    """
    source, owner = _source(folder, artifact), os.getpid()
    # Not a TemporaryDirectory: each forked process would delete it when it ends.
    private = _made_private()
    try:
        yield _checked_copy(source, artifact, private)
    finally:
        if os.getpid() == owner:
            shutil.rmtree(private, ignore_errors=True)


def digest_of(source: Path) -> str:
    """The digest that a manifest must state for this file or folder."""
    with _private_folder() as private:
        return _copy_tree(source, private / "copy") if source.is_dir() else _copy_file(source, private / "copy")


def check_folder(folder: Path, sha256: str) -> None:
    """Compare a whole model folder, its code too, with its digest (`contracts.listing`). Reads every file once.

    Raises ArtifactRejected if it has another one, Invalid if it does not consist of plain files, and NotReady if a file
    cannot be read now.
    """
    try:
        actual = listing.of_tree({name: _digest(path) for name, path in _entries(folder) if path.is_file()})
    except OSError as cause:
        raise errors.NotReady(f"the model folder {folder} cannot be read: {cause}") from cause
    if actual != sha256:
        raise errors.ArtifactRejected(
            f"{folder} is not the model folder that was released: its digest is {actual}, not {sha256}. "
            "Nothing in it was loaded.",
            hint="Copy the folder again, to the end, or release what is there as a version of its own. "
            "docs/model-folder.md says how the digest is computed.",
        )


def _source(folder: Path, artifact: Artifact) -> Path:
    try:
        return inside(folder, artifact.path, field="artifact.path")
    except errors.Invalid as cause:
        raise errors.ArtifactRejected(cause.message, hint=cause.hint) from None


def _checked_copy(source: Path, artifact: Artifact, private: Path) -> Path:
    copy = private / Path(artifact.path).name
    actual = _copy_tree(source, copy) if source.is_dir() else _copy_file(source, copy)
    if actual != artifact.sha256:
        raise errors.ArtifactRejected(
            f"{artifact.path} is not the artifact that fairlead.yaml names: "
            f"its sha256 is {actual}, the manifest says {artifact.sha256}. The artifact was not loaded.",
            hint="Restore the file, or train again, which writes a new manifest. Do not edit the digest by hand.",
        )
    return copy


@contextmanager
def _private_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    except OSError as cause:
        raise _no_folder(cause) from cause
    with folder as name:
        yield Path(name)


def _made_private() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as cause:
        raise _no_folder(cause) from cause


def _no_folder(cause: OSError) -> errors.Unavailable:
    return errors.Unavailable(
        f"cannot create a temporary folder for the private copy of the artifact: {cause}",
        hint="Mount a writable folder (an emptyDir) at /tmp, or set TMPDIR to a writable folder.",
    )


def _copy_file(source: Path, copy: Path) -> str:
    with source.open("rb") as reading, copy.open("xb") as writing:
        return listing.of_chunks(_copied(reading, writing))


def _copied(reading: BinaryIO, writing: BinaryIO) -> Iterator[bytes]:
    while chunk := reading.read(CHUNK_BYTES):
        writing.write(chunk)
        yield chunk


def _digest(path: Path) -> str:
    with path.open("rb") as reading:
        return listing.of_chunks(iter(lambda: reading.read(CHUNK_BYTES), b""))


def _copy_tree(source: Path, copy: Path) -> str:
    copy.mkdir()
    files: dict[str, str] = {}
    for name, path in _entries(source):
        if path.is_dir():
            (copy / name).mkdir(parents=True, exist_ok=True)
        else:
            files[name] = _copy_file(path, copy / name)
    return listing.of_tree(files)


def _entries(source: Path) -> Iterator[tuple[str, Path]]:
    """Every file and folder in a folder, with its path there. Raises Invalid for anything else."""
    for place, folders, files in os.walk(source, onerror=_raise):
        for path in sorted(Path(place, name) for name in (*folders, *files)):
            name = path.relative_to(source).as_posix()
            mode = path.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)) or set(name) & {"\n", "\\"}:
                # A link may point outside or be changed later; sha256sum escapes the two characters.
                raise errors.Invalid(
                    f"{name!r} in {source.name} is not a plain file",
                    hint="It must hold plain files and folders: no links, no line break or backslash in names.",
                )
            yield name, path


def _raise(error: OSError) -> None:
    raise error
