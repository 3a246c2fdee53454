"""The platform's own copies of model folders: `.fairlead/versions/<model>/<version>-<12 hex digits>`.

A version is served from its copy, so an edit or a deletion of the folder that was deployed changes nothing. A copy is
named by the digest of its files, which are read-only, and complete from the moment its name exists.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fairlead import errors
from fairlead.contracts import listing, manifest_file
from fairlead.contracts.instance import Wanted
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.route import VersionSpec
from fairlead.local import folders
from fairlead.store.base import Store

DIGITS = 12
SPARE_BYTES = 64 << 20
"""What a copy leaves free on the disk: the ledger and the logs are on it too."""
_CLONE = 0x40049409
"""FICLONE: the copy shares its blocks with the source where the file system can do that."""

Progress = Callable[[str, int, int], None]
"""Is told the name of the version, the bytes copied so far, and the bytes in all."""


class VersionCopies:
    """All copies of one platform. Only one process at a time may add or remove copies: use `locked`."""

    def __init__(self, root: Path, progress: Progress = lambda name, done, total: None) -> None:
        self._root = root
        self._progress = progress

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Until the route that names a new copy is written, no other command may take the copy for unused."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._root / "lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def keep(self, manifest: Manifest, version: VersionSpec) -> VersionSpec:
        """The version with its copy as the source; the folder is copied unless there is a whole copy.

        Raises Unavailable if the disk is full, and Conflict if the folder is changed meanwhile; no copy is left then.
        """
        place = self._root / manifest.name / f"{manifest.version}-{version.folder[:DIGITS]}"
        kept = version.model_copy(update={"source": str(place)})
        if place.is_dir() and not damage(place, version.folder):
            return kept
        folder = Path(version.source or "")
        files = folders.files_of(folder)
        size = sum(path.stat().st_size for path in files.values())
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=".draft-"))
        name = f"{manifest.name} {manifest.version}"
        try:
            free = shutil.disk_usage(draft).free
            if size + SPARE_BYTES > free:
                raise _no_room(f"{name} has {in_units(size)}, and {in_units(free)} are free", self._root)
            self._copy(files, draft, name, size)
            if listing.of_tree(folders.digests(draft)) != version.folder:
                raise errors.Conflict(f"{folder} was changed while it was copied", hint="repeat the command")
            shutil.rmtree(place, ignore_errors=True)  # a damaged copy
            draft.rename(place)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(f"{name} has {in_units(size)}: {error.strerror}", self._root) from error
            raise errors.Unavailable(
                f"{name} cannot be copied into {self._root}: {error.strerror}",
                hint="check that you may read the folder and write there; nothing was deployed",
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return kept

    def _copy(self, files: dict[str, Path], draft: Path, name: str, size: int) -> None:
        done = 0
        for inside, source in files.items():
            target = draft / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as reading, target.open("xb") as writing:
                try:
                    fcntl.ioctl(writing.fileno(), _CLONE, reading.fileno())
                    done += source.stat().st_size
                    self._progress(name, done, size)
                except OSError:
                    while chunk := reading.read(folders.CHUNK_BYTES):
                        done += writing.write(chunk)
                        self._progress(name, done, size)
            target.chmod(0o500 if os.access(source, os.X_OK) else 0o400)

    def remove_unused(self, store: Store) -> list[str]:
        """Delete the copies that neither a route nor a wanted instance names. Returns their names.

        A version to which a rollback may return is one of these two. Copies of a model whose route cannot be read stay.
        """
        # By model and name alone: the store has the path of the state folder as it was given when it was deployed,
        # perhaps through a link, or from where the folder was before.
        used = {Path(source).parts[-2:] for source in _sources(store)}
        unreadable = {one.name for one in store.unreadable_routes()}
        removed = []
        for place in sorted(self._root.glob("*/*")):
            if place.parts[-2:] not in used and place.parent.name not in unreadable:
                shutil.rmtree(place, ignore_errors=True)
                removed.append(f"{place.parent.name}/{place.name}")
        for model in self._root.glob("*/"):
            with contextlib.suppress(OSError):  # not empty
                model.rmdir()
        return removed


def damage(copy: Path, digest: str) -> str:
    """Why a copy is not the version any more, as part of a sentence; empty if it is. Reads every file."""
    if not copy.is_dir():
        return "is gone"
    try:
        return "" if listing.of_tree(folders.digests(copy)) == digest else "was changed"
    except errors.FairleadError as error:
        return f"was changed: {error.message}"


def why_not_started(wanted: Wanted) -> str:
    """Why the folder of an instance must not be served as its version; empty if it may be. Reads every file."""
    if wanted.folder:
        found = damage(Path(wanted.source), wanted.folder)
        return found and (
            f"not started: {wanted.source}, the platform's copy of {wanted.model} {wanted.ref}, {found}; deploy the "
            "same folder again, which makes a new copy"
        )
    # A version that an earlier Fairlead deployed is served where it is, and only its artifact is known.
    try:
        manifest = manifest_file.read(Path(wanted.source))
    except errors.FairleadError:
        return ""  # the service itself says why it cannot read a folder
    artifact = manifest.artifact.sha256 if manifest.artifact else ""
    if (manifest.name, VersionSpec(artifact=artifact).ref(manifest.version)) == (wanted.model, wanted.ref):
        return ""
    return (
        f"not started: {wanted.source} was changed after {wanted.model} {wanted.ref} was deployed: it now holds "
        f"{manifest.name} {manifest.version} with the artifact {artifact[:12] or 'none'}; restore the folder, or "
        "give the new artifact a new version and deploy that"
    )


def in_units(size: int) -> str:
    """A number of bytes for people: "1.2 GB"."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= bytes_:
            return f"{size / bytes_:.1f} {unit}"
    return f"{size} bytes"


def _sources(store: Store) -> Iterable[str]:
    for route in store.routes():
        yield from (one.source for one in route.spec.versions.values() if one.source is not None)
    yield from (one.source for one in store.wanted())


def _no_room(why: str, root: Path) -> errors.Unavailable:
    return errors.Unavailable(
        f"there is no room for the platform's copy: {why}",
        hint=f"make room on the disk of {root}, or choose another state folder with --state; nothing was deployed",
    )
