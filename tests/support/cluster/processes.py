"""Finds the processes of a pod in this machine's process table, so that tests can send them signals directly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.processes import ProcessFailed


def process_of(pod: Mapping[str, Any], word: str) -> int:
    """The pid of the pod's only process with `word` as an argument. Raises ProcessFailed if it is not exactly one."""
    found = [pid for pid in _processes(str(pod["metadata"]["uid"])) if word in _arguments(pid)]
    if len(found) != 1:
        raise ProcessFailed(f"{pod['metadata']['name']} has {len(found)} processes with {word!r}")
    return found[0]


def _processes(uid: str) -> Iterator[int]:
    """The processes of a pod, found by their control group, whose name contains the pod's uid."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"pod{uid}" in (folder / "cgroup").read_text():
                yield int(folder.name)


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
