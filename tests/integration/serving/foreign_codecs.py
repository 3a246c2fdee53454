"""Asks a service or a gateway with the codecs of MLServer, as its users write it: `... URL MODEL`.

Runs in the environment of requirements/mlserver.txt, without Fairlead. Prints a JSON object: for each situation what
was decoded of the answer, or `{"raised": ...}` with the status and the text of an error.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, RequestOutput

ROWS = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]
FIELDS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
FRAME = pd.DataFrame(ROWS, columns=FIELDS)


def main(url: str, model: str) -> dict[str, Any]:
    """What each way of encoding a request gets."""
    address = f"{url}/v2/models/{model}"

    def infer(request: InferenceRequest) -> InferenceResponse:
        body = request.model_dump_json(exclude_none=True).encode()
        asked = urllib.request.Request(f"{address}/infer", body, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return InferenceResponse.model_validate_json(reply.read())

    def labels(request: InferenceRequest) -> Any:
        output = next(one for one in infer(request).outputs if one.name == "label")
        return StringCodec.decode_output(output)

    def matrix() -> InferenceRequest:
        return InferenceRequest(inputs=[NumpyCodec.encode_input("x", np.array(ROWS))])

    def only_labels() -> Any:
        request = matrix()
        request.outputs = [RequestOutput(name="label")]
        return [one.name for one in infer(request).outputs]

    def metadata() -> Any:
        with urllib.request.urlopen(address, timeout=30) as reply:
            return [one.name for one in MetadataModelResponse.model_validate_json(reply.read()).inputs]

    situations: dict[str, Callable[[], Any]] = {
        "NumpyCodec": lambda: labels(matrix()),
        "NumpyCodec of FP32": lambda: labels(
            InferenceRequest(inputs=[NumpyCodec.encode_input("x", np.array(ROWS, np.float32))])
        ),
        "NumpyRequestCodec": lambda: labels(NumpyRequestCodec.encode_request(np.array(ROWS))),
        "PandasCodec": lambda: labels(PandasCodec.encode_request(FRAME)),
        "PandasCodec without bytes": lambda: labels(PandasCodec.encode_request(FRAME, use_bytes=False)),
        "an id": lambda: infer(InferenceRequest(id="7", inputs=matrix().inputs)).id,
        "one output": only_labels,
        "the answer as a frame": lambda: PandasCodec.decode_response(infer(matrix()))["label"].tolist(),
        "metadata": metadata,
        "a column too few": lambda: labels(PandasCodec.encode_request(FRAME[FIELDS[:3]])),
    }
    return {name: attempt(ask) for name, ask in situations.items()}


def attempt(ask: Callable[[], Any]) -> Any:
    """What a call returns, or the text of its error."""
    try:
        found = ask()
        return found.tolist() if isinstance(found, np.ndarray) else found
    except urllib.error.HTTPError as error:
        return {"raised": f"{error.code}: {error.read().decode()}"}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
