"""Shows how far the copy of a large model folder is."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

SHOWN_FROM_BYTES = 100 << 20
"""A smaller folder is copied before anybody could read this."""


class CopyProgress:
    """A bar for each version that is copied."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=console)
        self._tasks = dict[str, TaskID]()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show that `done` bytes of `total` are copied of the version `name`."""
        if total < SHOWN_FROM_BYTES:
            return
        if name not in self._tasks:
            self._progress.start()
            self._tasks[name] = self._progress.add_task(f"copying {name}", total=total)
        self._progress.update(self._tasks[name], completed=done)
        if done >= total:
            self._progress.stop()
