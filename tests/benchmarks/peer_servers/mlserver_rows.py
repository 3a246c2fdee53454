"""A model of rows.py as a custom runtime of MLServer. Each field of a row is a tensor."""

import argparse
import asyncio
from typing import Any

import rows
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput


class Rows(MLModel):
    async def load(self) -> bool:
        self.answers = rows.load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        columns = {one.name: column(one) for one in payload.inputs}
        answers = self.answers([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
        outputs = []
        for name, first in answers[0].items():
            values = [answer[name] for answer in answers]
            codec = StringCodec if isinstance(first, str) else NumpyCodec
            outputs.append(codec.encode_output(name, values if isinstance(first, str) else rows.np.array(values)))
        return InferenceResponse(id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs)


def column(tensor: RequestInput) -> list[Any]:
    if tensor.datatype == "BYTES":
        return StringCodec.decode_input(tensor)
    return NumpyCodec.decode_input(tensor).ravel().tolist()


async def main(port: int) -> None:
    """Serve as mlserver_iris.py does."""
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings = Settings(host="127.0.0.1", parallel_workers=0, debug=False, use_structured_logging=False, **ports)
    await MLServer(settings).start([ModelSettings(name="rows", implementation=Rows)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(main(parser.parse_args().port))
