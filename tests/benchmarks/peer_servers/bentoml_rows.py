"""A model of rows.py as a service of BentoML."""

from typing import Any

import bentoml
import rows


@bentoml.service
class Rows:
    def __init__(self) -> None:
        self.answers = rows.load()

    @bentoml.api
    def predict(self, row: dict[str, Any]) -> dict[str, Any]:
        return self.answers([row])[0]
