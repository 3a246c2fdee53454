"""A model of rows.py as a custom predictor of KServe's SDK."""

import argparse
from typing import Any

import kserve
import rows


class Rows(kserve.Model):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        self.answers = rows.load()
        self.ready = True
        return self.ready

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None, **_: Any) -> dict[str, Any]:
        return {"predictions": self.answers(payload["instances"])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    kserve.ModelServer(http_port=port, workers=1, enable_grpc=False, access_log_format=None).start([Rows("rows")])
