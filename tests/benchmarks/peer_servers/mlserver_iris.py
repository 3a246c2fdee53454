"""The example iris as a custom runtime of MLServer, as its documentation writes one."""

import argparse
import asyncio
import os

import joblib
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse


class Iris(MLModel):
    async def load(self) -> bool:
        self.classifier = joblib.load(self.settings.parameters.uri)
        self.labels = self.classifier.classes_
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        probabilities = self.classifier.predict_proba(NumpyCodec.decode_input(payload.inputs[0]))
        labels = self.labels[probabilities.argmax(axis=1)].tolist()
        outputs = [StringCodec.encode_output("label", labels), NumpyCodec.encode_output("probabilities", probabilities)]
        return InferenceResponse(id=payload.id, model_name=self.name, model_version=self.version, outputs=outputs)


async def main(port: int) -> None:
    """Serve without a pool of processes, which costs more for a small model, and on three ports, as it always does."""
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings = Settings(host="127.0.0.1", parallel_workers=0, debug=False, use_structured_logging=False, **ports)
    parameters = ModelParameters(uri=os.environ["ARTIFACT"])
    await MLServer(settings).start([ModelSettings(name="iris", implementation=Iris, parameters=parameters)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(main(parser.parse_args().port))
