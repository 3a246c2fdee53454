"""Keeps the log files of a state folder from filling the disk."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from fairlead.local import log_files

MAX_BYTES = 64 << 20
"""A log that is larger is moved aside; so a process has twice this much at most."""


def rotate(logs: Path, max_bytes: int = MAX_BYTES) -> list[str]:
    """Move the content of every log that is too large to NAME.log.1, which replaces the one before. Returns the names.

    The file itself stays, because its process has it open and appends to it. The log of the control plane is left: it
    has every revision.
    """
    moved = []
    for path in sorted(logs.glob("*.log")):
        with contextlib.suppress(OSError):  # the disk is full, or somebody has taken the file away: tried again
            if path.stem != log_files.CONTROL and path.stat().st_size > max_bytes:
                _move(path)
                moved.append(path.stem)
    return moved


def _move(path: Path) -> None:
    draft = path.with_suffix(".log.new")
    with path.open("r+b") as log, draft.open("wb") as out:
        # Until nothing was appended meanwhile: what comes between the last read and the next line is lost.
        shutil.copyfileobj(log, out)
        log.truncate(0)
    draft.rename(path.with_suffix(".log.1"))
