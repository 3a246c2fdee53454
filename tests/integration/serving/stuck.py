"""A model folder whose predictions wait for a file, hold the interpreter or end the process, as their rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import folders

CODE = """
import ctypes
import logging
import os
import signal
import sys
import time
from pathlib import Path
from pydantic import BaseModel
import fairlead

libc = ctypes.PyDLL(None)  # its functions keep the interpreter's lock

class Order(BaseModel):
    do: str = ""
    seconds: float = 0

class Done(BaseModel):
    pid: int

class Stuck(fairlead.Model[Order, Done]):
    def load(self, artifact: Path) -> None:
        self.folder = Path(artifact.read_text())
        logging.getLogger("author").warning("loading")
        self.obey("load")
        with (self.folder / "loads").open("a") as loads:
            loads.write(f"{os.getpid()}\\n")

    def obey(self, order: str) -> None:
        if order == "load":
            order = (self.folder / "load").read_text() if (self.folder / "load").exists() else ""
        match order:
            case "wait":
                (self.folder / "waiting").touch()
                while not (self.folder / "release").exists():
                    time.sleep(0.01)
            case "raise":
                raise ValueError("a secret of the inside")
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "_exit":
                os._exit(7)
            case "exit":
                sys.exit(7)

    def predict(self, rows: list[Order]) -> list[Done]:
        for row in rows:
            self.obey(row.do)
            if row.do == "hold":
                libc.usleep(int(row.seconds * 1e6))
        return [Done(pid=os.getpid()) for row in rows]
"""


class Stuck:
    """The model folder, and the file that its waiting calls wait for."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self._folder = folder
        self.folder = folders.make(
            folder / "model",
            code=CODE,
            artifact=str(folder).encode(),
            golden=[],
            name="stuck",
            entry="model:Stuck",
            **fields,
        )

    def waits(self) -> bool:
        """Whether a call has begun to wait."""
        return (self._folder / "waiting").exists()

    def release(self) -> None:
        """Let the calls that wait return."""
        (self._folder / "release").touch()

    def hold(self) -> None:
        """Let the next calls that wait not return, after a `release`."""
        (self._folder / "release").unlink()

    def load_with(self, order: str) -> None:
        """Let the next loads do this first; an empty text is nothing."""
        (self._folder / "load").write_text(order)

    def loads(self) -> list[int]:
        """The processes that have loaded the model, in order."""
        return [int(line) for line in (self._folder / "loads").read_text().split()]
