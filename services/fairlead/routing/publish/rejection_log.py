"""Reads from Envoy's log why it rejected an update: with files and with REST xDS the reason is only there."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 64 << 10
_LINE = re.compile(rb"(?:Filesystem config update (?:rejected|failure)|REST config for \S+ rejected): (.*)")


def last_rejection(log: Path) -> str | None:
    """The reason in the last such line; None when the log cannot be read or has none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return rejection_in(file.read())
    except OSError:
        return None


def rejection_in(text: bytes) -> str | None:
    """The reason in the last line that contains one."""
    found = _LINE.findall(text)
    return found[-1].decode(errors="replace").strip()[:500] if found else None
