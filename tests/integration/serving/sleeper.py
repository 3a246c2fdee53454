"""A model folder whose predictions take as many seconds as their rows say, and that logs the rows that it gets."""

from __future__ import annotations

from pathlib import Path

from support import folders

CODE = """
import time
from pathlib import Path
from pydantic import BaseModel, Field
import fairlead

class Nap(BaseModel):
    seconds: float = Field(ge=0, le=10)
    name: str = ""

class Rest(BaseModel):
    slept: float

class Sleeper(fairlead.Model[Nap, Rest]):
    def load(self, artifact: Path) -> None:
        self.asked = Path(artifact.read_text())

    def predict(self, rows: list[Nap]) -> list[Rest]:
        with self.asked.open("a") as asked:
            asked.writelines(row.name + "\\n" for row in rows)
        time.sleep(max(row.seconds for row in rows))
        return [Rest(slept=row.seconds) for row in rows]
"""


class Sleeper:
    """The model folder, and the rows that its model has started so far."""

    def __init__(self, folder: Path) -> None:
        self._asked = folder / "asked"
        self.folder = folders.make(
            folder / "model",
            code=CODE,
            artifact=str(self._asked).encode(),
            # Three, so that the warm-up asks no rows that it makes up: it would sleep for all of their seconds.
            golden=[{"input": {"seconds": 0, "name": f"golden {n}"}, "expected": {"slept": 0.0}} for n in range(3)],
            name="sleeper",
            entry="model:Sleeper",
            batching={"max_rows": 32},
        )

    def asked(self) -> list[str]:
        """The names of the rows, in order."""
        return self._asked.read_text().splitlines() if self._asked.exists() else []
