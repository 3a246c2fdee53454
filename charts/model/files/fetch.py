"""Fetches a model folder: $FAIRLEAD_SOURCE (empty: it was downloaded) -> $FAIRLEAD_ARCHIVE -> $FAIRLEAD_FOLDER.

Nothing is unpacked that does not have the SHA-256 $FAIRLEAD_SHA256, and the folder appears whole or not at all. Why it
failed is in $FAIRLEAD_FAILURE_FILE too: the kubelet passes that on with the pod.

Archives are kept in the folder $FAIRLEAD_CACHE, if it is set, up to $FAIRLEAD_CACHE_BYTES. Other pods write to it too,
so an archive from there is copied, and the copy is verified like any other. A cache that cannot be used is no failure.
"""

import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ATTEMPTS = 5
PASSES = (408, 429)
"""The statuses below 500 that pass by themselves."""


def main() -> None:
    """Download, check, unpack."""
    source, archive = os.environ["FAIRLEAD_SOURCE"], Path(os.environ["FAIRLEAD_ARCHIVE"])
    folder, wanted = Path(os.environ["FAIRLEAD_FOLDER"]), os.environ["FAIRLEAD_SHA256"]
    found, name = obtain(source, archive, wanted) if source else sha256(archive), shown(source) or archive
    if found != wanted:
        archive.unlink()
        raise failed(f"{name} has the SHA-256 {found}, not {wanted}: it is not the archive that was released")
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)  # a container that starts again begins anew
    try:
        with tarfile.open(archive) as packed:
            unpack(packed, draft)
    except Exception as error:  # of tarfile, of each compression, of the disk
        raise failed(f"{name} cannot be unpacked: {type(error).__name__}: {error}") from None
    top(draft, name).rename(folder)
    shutil.rmtree(draft, ignore_errors=True)
    archive.unlink()
    print(f"{folder}: unpacked from {shown(source) or 'the download'}, SHA-256 {found}")


def obtain(source: str, archive: Path, wanted: str) -> str:
    """From the cache if it is there, else downloaded: its digest. Of pods that start at once, one downloads."""
    if not (cache := os.environ.get("FAIRLEAD_CACHE")):
        download(source, archive)
        return sha256(archive)
    kept = Path(cache, wanted)
    has_waited = False
    while not taken(kept, archive, wanted):
        with locked(kept.with_suffix(".lock")) as is_locked:
            if is_locked and not has_waited and kept.exists():
                # Another pod has fetched it meanwhile. All that waited copy it at the same time, without the lock.
                has_waited = True
                continue
            download(source, archive)
            found = sha256(archive)
            if is_locked and found == wanted:
                keep(archive, kept)
            return found
    return wanted


def taken(kept: Path, archive: Path, wanted: str) -> bool:
    """Copy it from the cache. Whether it was there, and undamaged."""
    try:
        shutil.copyfile(kept, archive)
        if sha256(archive) == wanted:
            print(f"{kept.name}: from the cache")
            with contextlib.suppress(OSError):  # another user's file
                os.utime(kept)  # the least recently used is removed first
            return True
        print(f"{kept.name}: another file has this name in the cache; it is fetched again")
        kept.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        print(f"the cache cannot be read: {error}")
    return False


@contextlib.contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Whether this process alone has the lock; it ends with the process, however that ends."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(file.open("w"))
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{file.stem}: another pod fetches it into the cache; waiting for it", flush=True)
                fcntl.flock(opened, fcntl.LOCK_EX)
        except OSError as error:
            print(f"the cache is not used, and the archive is downloaded: {error}{usable_by(file.parent, error)}")
            yield False
            return
        yield True


def usable_by(cache: Path, error: OSError) -> str:
    """What to do about a folder of somebody else: the kubelet makes that of a node for root."""
    if not isinstance(error, PermissionError):
        return ""
    owner, user = cache.stat().st_uid, os.getuid()
    return f"; the folder belongs to user {owner}, and user {user} of this pod must be able to write it"


def keep(archive: Path, kept: Path) -> None:
    """Put it into the cache, whole, and remove what is too much. Under the lock: a draft there is a leftover."""
    draft, room = kept.with_suffix(".part"), int(os.environ["FAIRLEAD_CACHE_BYTES"]) - archive.stat().st_size
    try:
        if room < 0:
            print(f"the archive is larger than the cache, by {-room} bytes: it is not kept")
            return
        others = [one for one in kept.parent.iterdir() if len(one.name) == len(kept.name)]  # a digest, without a suffix
        newest = sorted(((one.stat().st_mtime, one.stat().st_size, one) for one in others), reverse=True)
        for _, size, one in newest:
            room -= size
            if room < 0:
                one.unlink(missing_ok=True)
        shutil.copyfile(archive, draft)
        draft.rename(kept)
    except OSError as error:
        print(f"the archive is not kept in the cache: {error}")
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def download(source: str, archive: Path) -> None:
    """Whole, or an exit that says why; what passes by itself is tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(source, timeout=60) as answer, archive.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            return
        except (OSError, http.client.HTTPException) as error:
            status = error.code if isinstance(error, urllib.error.HTTPError) else 0
            if attempt == ATTEMPTS or (400 <= status < 500 and status not in PASSES):
                raise failed(f"{shown(source)} could not be fetched: {error}") from None
            print(f"attempt {attempt} of {ATTEMPTS}: {error}", flush=True)
            time.sleep(2**attempt)


def unpack(packed: tarfile.TarFile, draft: Path) -> None:
    """Into a folder, and nothing outside it. Python has a filter for that since 3.11.4; Debian 12 has 3.11.2."""
    if hasattr(tarfile, "data_filter"):
        packed.extractall(draft, filter="data")
        return
    draft.mkdir()
    for entry in packed:
        file = (draft / entry.name).resolve()
        if not file.is_relative_to(draft.resolve()):
            raise ValueError(f"{entry.name!r} is outside the folder")
        if not (entry.isdir() or entry.isreg()):
            raise ValueError(f"{entry.name!r} is neither a file nor a folder")
        (file if entry.isdir() else file.parent).mkdir(parents=True, exist_ok=True)
        if content := packed.extractfile(entry):
            with content, file.open("wb") as target:
                shutil.copyfileobj(content, target, 1 << 20)


def shown(source: str) -> str:
    """The address without what may be a secret: a password, or the signature of a presigned one."""
    parts = urllib.parse.urlsplit(source)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def sha256(path: Path) -> str:
    """The file's digest."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise failed(f"{path} is not there: the fetcher must write the archive to $FAIRLEAD_ARCHIVE") from None


def top(draft: Path, name: object) -> Path:
    """The model folder in what was unpacked: the archive's root, or its only folder."""
    for folder in (draft, *(entry for entry in draft.iterdir() if entry.is_dir())):
        if (folder / "fairlead.yaml").is_file():
            return folder
    raise failed(f"{name} holds no fairlead.yaml, neither at its top nor in a folder there")


def failed(why: str) -> SystemExit:
    """The end of this container, with this sentence."""
    if file := os.environ.get("FAIRLEAD_FAILURE_FILE"):
        Path(file).write_text(why, encoding="utf-8")
    return SystemExit(why)


main()
