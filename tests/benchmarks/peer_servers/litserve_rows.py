"""A model of rows.py as an API of LitServe."""

from typing import Any

import litserve
import rows
from litserve_start import start


class Rows(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.answers = rows.load()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        return request

    def predict(self, row: dict[str, Any]) -> dict[str, Any]:
        return self.answers([row])[0]

    def encode_response(self, answer: dict[str, Any]) -> dict[str, Any]:
        return answer


if __name__ == "__main__":
    start(Rows())
