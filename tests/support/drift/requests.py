"""Requests with random rows, for the model of `doublers`. The process that generates load imports this."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from support.load.prebuilt import encode

KINDS, SHARES = ("a", "b", "c"), (0.5, 0.3, 0.2)
STRANGE = 0.02
SIZE = 33
"""The numbers of the vector `text`."""
MEAN, SPREAD = 10.0, 2.0
SEED = 20261130


@dataclass(frozen=True)
class Drawn:
    """Predictions of new users, every second one of two rows, from request `since` on with a shifted mean.

    One row of 50 has a kind that the reference does not have, unless `strange` says otherwise.
    """

    model: str = "doubler"
    shift: float = 0.0
    since: int = 0
    strange: float = STRANGE

    def __call__(self, index: int) -> bytes:
        """The bytes of request `index`."""
        random = np.random.default_rng((SEED, index))
        mean = MEAN + (self.shift if index >= self.since else 0)
        rows = [
            {
                "value": round(float(random.normal(mean, SPREAD)), 3),
                "kind": _kind(random, self.strange),
                "text": (embedded(random, 1)[0] + mean - MEAN).tolist(),
            }
            for _ in range(1 + index % 2)
        ]
        headers = {"x-user-id": f"u{index}"}
        return encode("POST", f"/models/{self.model}/predict", headers=headers, body=json.dumps(rows).encode())


def embedded(random: np.random.Generator, rows: int) -> npt.NDArray[np.float64]:
    """Vectors near a line."""
    along = random.normal(size=(rows, 1)) * np.arange(SIZE) / SIZE
    return np.asarray((along + random.normal(scale=0.3, size=(rows, SIZE))).round(2))


def _kind(random: np.random.Generator, strange: float) -> str:
    return "z" if random.random() < strange else str(random.choice(KINDS, p=SHARES))
