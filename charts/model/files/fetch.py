"""Fetches a model folder: $FAIRLEAD_SOURCE (empty: it was downloaded) -> $FAIRLEAD_ARCHIVE -> $FAIRLEAD_FOLDER.

Nothing is unpacked that does not have the SHA-256 $FAIRLEAD_SHA256, and the folder appears whole or not at all.
"""

import hashlib
import os
import shutil
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

ATTEMPTS = 5


def main() -> None:
    """Download, check, unpack."""
    source, archive = os.environ["FAIRLEAD_SOURCE"], Path(os.environ["FAIRLEAD_ARCHIVE"])
    folder, wanted = Path(os.environ["FAIRLEAD_FOLDER"]), os.environ["FAIRLEAD_SHA256"]
    if source:
        download(source, archive)
    found = sha256(archive)
    if found != wanted:
        archive.unlink()
        sys.exit(f"{source or archive} has the SHA-256 {found}, not {wanted}: it is not the archive that was released")
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)  # a container that starts again begins anew
    with tarfile.open(archive) as packed:
        packed.extractall(draft, filter="data")
    top(draft).rename(folder)
    shutil.rmtree(draft, ignore_errors=True)
    archive.unlink()
    print(f"{folder}: unpacked from {source or 'the download'}, SHA-256 {found}")


def download(source: str, archive: Path) -> None:
    """Whole, or an exit that says why; what passes by itself is tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(source, timeout=60) as answer, archive.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
            return
        except OSError as error:
            if attempt == ATTEMPTS:
                sys.exit(f"{source} could not be fetched: {error}")
            print(f"attempt {attempt} of {ATTEMPTS}: {error}", flush=True)
            time.sleep(2**attempt)


def sha256(path: Path) -> str:
    """The file's digest."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        sys.exit(f"{path} is not there: the fetcher must write the archive to $FAIRLEAD_ARCHIVE")


def top(draft: Path) -> Path:
    """The model folder in what was unpacked: the archive's root, or its only folder."""
    for folder in (draft, *(entry for entry in draft.iterdir() if entry.is_dir())):
        if (folder / "fairlead.yaml").is_file():
            return folder
    sys.exit("the archive holds no fairlead.yaml, neither at its top nor in a folder there")


main()
