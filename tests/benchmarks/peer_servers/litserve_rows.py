"""A model of rows.py as an API of LitServe."""

import argparse
from typing import Any

import litserve
import rows


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
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = litserve.LitServer(Rows(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
