"""The state of a cluster, in a file that its keeper writes and other processes read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["starting", "ready", "failed"]


@dataclass(frozen=True)
class State:
    """The state of one cluster. If it has a node, `pids` are pids in the node's process namespace."""

    phase: Phase
    keeper: int
    pids: dict[str, int] = field(default_factory=dict)
    reason: str = ""


def write(folder: Path, state: State) -> None:
    """Replace the file if the state has changed."""
    path, text = folder / "state.json", json.dumps(asdict(state))
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_suffix(".part")
    partial.write_text(text)
    os.replace(partial, path)


def read(folder: Path) -> State | None:
    """The state; None before the keeper has written it."""
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return None


def hold_file(folder: Path, component: str) -> Path:
    """The file that keeps a component down: while it exists, the keeper does not restart the component."""
    return folder / "hold" / component
