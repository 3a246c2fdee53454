"""Rows of a long run, each kept when it is finished: whoever stops the run and starts it again goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

Row = dict[str, Any]


class Rows:
    """A file of rows, one JSON object on a line, that belong to one state of the code; others in it are passed over."""

    def __init__(self, file: Path, *, of: str) -> None:
        self._file, self._of = file, of
        self._kept: dict[str, Row] = {}
        if file.exists():
            lines = (json.loads(line) for line in file.read_text().splitlines() if line.endswith("}"))
            self._kept = {line["key"]: line["row"] for line in lines if line["of"] == of}

    def all(self, what: str, wanted: Mapping[str, Callable[[], Row]]) -> list[Row]:
        """Every row, made where it is not kept yet; a bar on standard error where somebody looks."""
        told = Console(stderr=True)
        keys = track(wanted, f"{what:<16}", console=told, disable=not told.is_terminal)
        return [self._row(f"{what}: {key}", wanted[key]) for key in keys]

    def _row(self, key: str, make: Callable[[], Row]) -> Row:
        if key not in self._kept:
            row = json.loads(json.dumps(make()))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as out:
                out.write(json.dumps({"of": self._of, "key": key, "row": row}) + "\n")
            self._kept[key] = row
        return self._kept[key]


def digest_of(files: Iterable[Path], *more: object) -> str:
    """Another one when any of the files is another, or what else matters is."""
    whole = hashlib.sha256(repr(more).encode())
    for file in sorted(files):
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]
