"""A cache file for the rows of a long run: a run that was stopped and started again computes only the missing rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

Row = dict[str, Any]


class RowCache:
    """A file with one JSON object per line. Rows with another fingerprint (of the code, say) are ignored."""

    def __init__(self, file: Path, *, fingerprint: str) -> None:
        self._file, self._fingerprint = file, fingerprint
        self._rows: dict[str, Row] = {}
        if file.exists():
            lines = (json.loads(line) for line in file.read_text().splitlines() if line.endswith("}"))
            self._rows = {line["key"]: line["row"] for line in lines if line["of"] == fingerprint}

    def collect(self, what: str, wanted: Mapping[str, Callable[[], Row]]) -> list[Row]:
        """Every row, computed where it is not in the file yet. Shows a progress bar if standard error is a terminal."""
        console = Console(stderr=True)
        keys = track(wanted, f"{what:<16}", console=console, disable=not console.is_terminal)
        return [self._row(f"{what}: {key}", wanted[key]) for key in keys]

    def _row(self, key: str, compute: Callable[[], Row]) -> Row:
        if key not in self._rows:
            row = json.loads(json.dumps(compute()))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as out:
                out.write(json.dumps({"of": self._fingerprint, "key": key, "row": row}) + "\n")
            self._rows[key] = row
        return self._rows[key]


def digest_of(files: Iterable[Path], *more: object) -> str:
    """A digest that changes with the content of any of the files and with any other argument."""
    whole = hashlib.sha256(repr(more).encode())
    for file in sorted(files):
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]
