"""What a keeper says about its cluster, in a file that others read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["starting", "ready", "failed"]


@dataclass(frozen=True)
class State:
    """`pids` are numbers inside the node's own process namespace, where there is one."""

    phase: Phase
    keeper: int
    pids: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def write(folder: Path, state: State) -> None:
    """Replace the file, if what it says has changed."""
    path, text = folder / "state.json", json.dumps(asdict(state))
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_suffix(".part")
    partial.write_text(text)
    os.replace(partial, path)


def read(folder: Path) -> State | None:
    """None before the keeper has said anything."""
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return None


def hold_file(folder: Path, part: str) -> Path:
    """While this file exists, the keeper does not start the part again."""
    return folder / "hold" / part
