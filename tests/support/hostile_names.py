"""Requests in which a client names something random, for a load."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.load.prebuilt import encode


@dataclass(frozen=True)
class Hostile:
    """Requests that name something random, in every place where a client can name something."""

    model: str
    seed: int
    prefix: str
    """What the paths of the model begin with: that of the gateway, or nothing at the service itself."""

    def __call__(self, index: int) -> bytes:
        """The bytes of request `index`."""
        chance = random.Random(f"{self.seed}/{index}")
        name = f"{chance.getrandbits(64):x}"
        headers = {"x-request-id": name, "x-user-id": name, "user-agent": name, "traceparent": name, f"x-{name}": name}
        row: dict[str, Any] = {"value": 1.0, "kind": name}
        label = {"id": name, "version": chance.choice(("1.0.0", name)), "prediction": "high", "truth": "low"}
        of_model = self.prefix or "/"
        kinds: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
            ("GET", f"/{name}", {}),
            ("POST", f"{self.prefix}/predict", row),
            ("POST", f"/models/{name}/predict", row),
            ("POST", f"/models/{self.model}/versions/{name}/predict", row),
            ("POST", f"/v1/models/{name}:predict", {"instances": [row]}),
            ("POST", f"/v2/models/{self.model}/versions/{name}/infer", {"inputs": [{"name": name}]}),
            ("POST", f"{self.prefix}/feedback", {"feedback": [label]}),
            ("POST", f"{self.prefix}/feedback", {"feedback": [{**label, "truth": name}]}),
            ("POST", f"{self.prefix}/predict?{name}={name}", {**row, name: name}),
            ("PUT", f"{of_model.rstrip('/')}/{name}", {}),
        )
        if index % (len(kinds) + 1) == len(kinds):
            headers |= {"te": "trailers"}
            return encode("POST", f"/{name}.Service/{name}", headers=headers, body=bytes(5), media="application/grpc")
        method, path, body = kinds[index % (len(kinds) + 1)]
        return encode(method, path, headers=headers, body=json.dumps(body).encode() if body else b"")
