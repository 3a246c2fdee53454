"""Checks the zip archive of a model before a library reads it: its names, and how large it becomes.

A library reads whole parts into memory, so an archive that becomes a thousand times as large would fill it.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

USUAL_BYTES = 2**28
"""An archive may become this large, whatever its own size is."""
RATIO = 16
"""How many times as large as its file a larger archive may become. Weights and trees reach about 10."""
PARTS = 100_000
_STORED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_INNER = (".npz", ".zip")


class Broken(Exception):
    """What is wrong with the archive: a sentence without its subject."""


def check(file: Path) -> frozenset[str]:
    """The names of the parts. Raises Broken for a file that is damaged or hostile, and for one that is no archive."""
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            names, _ = _checked(opened, max(USUAL_BYTES, RATIO * size))
            return frozenset(names)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError) as cause:
        raise Broken(f"is not a complete zip archive: {' '.join(str(cause).split())[:120]}") from None


def _checked(opened: BinaryIO, most: int, *, outside: int | None = None) -> tuple[list[str], int]:
    """The names of the parts, and how many bytes they become together with those of archives inside: `most` at most.

    `outside` is how many bytes the archive becomes that this one is in, with what was counted before.
    """
    with zipfile.ZipFile(opened) as archive:
        parts = archive.infolist()
        names = [part.filename for part in parts]
        if len(parts) > PARTS:
            raise Broken(f"has {len(parts)} parts, more than {PARTS}")
        if twice := len(names) - len(set(names)):
            raise Broken(f"has {twice} parts under the name of another one")
        for part in parts:
            _check_part(part)
        if (large := (outside or 0) + sum(part.file_size for part in parts)) > most:
            raise Broken(f"becomes {large} bytes when it is unpacked, more than {most}")
        for part in parts if outside is None else ():
            if part.filename.endswith(_INNER):  # scipy.sparse has an archive of its own
                _, large = _checked(io.BytesIO(archive.read(part)), most, outside=large)
        return names, large


def _check_part(part: zipfile.ZipInfo) -> None:
    name = PurePosixPath(part.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in part.filename or ":" in part.filename or not name.parts:
        raise Broken(f"has a part named {part.filename[:60]!r}, which is outside the archive")
    if part.flag_bits & 0x1 or part.compress_type not in _STORED:
        raise Broken(f"has the part {part.filename[:60]!r}, which is encrypted or packed in an unusual way")
