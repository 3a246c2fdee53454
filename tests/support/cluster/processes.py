"""The processes inside a pod, as this machine sees them: what a signal can be sent to without asking a node agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.processes import ProcessFailed


def process_of(pod: Mapping[str, Any], word: str) -> int:
    """The one process of a pod that was started with this argument. Raises ProcessFailed for none, or two."""
    found = [pid for pid in _processes(str(pod["metadata"]["uid"])) if word in _arguments(pid)]
    if len(found) != 1:
        raise ProcessFailed(f"{pod['metadata']['name']} has {len(found)} processes with {word!r}")
    return found[0]


def _processes(uid: str) -> Iterator[int]:
    """By its control group, which is named after the pod."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"pod{uid}" in (folder / "cgroup").read_text():
                yield int(folder.name)


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
