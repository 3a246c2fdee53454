"""Train digits and write its folder: `ci/models digits`, or `python services/models/digits/train.py [--out DIR]`.

It needs the packages of requirements/formats.txt, which `ci/models digits` installs into an environment of their own.
"""

import argparse
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fairlead.serving.formats.writer import write_folder

MANIFEST = {
    "name": "digits",
    "version": "1.0.0",
    "title": "Handwritten digits",
    "description": "A small network reads a digit from an image of 8 x 8 pixels.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "image", "classification"],
    "format": "onnx",
    # The graph says all of this but the descriptions. Without these lines its own names and types are served.
    "inputs": [
        {
            "name": "pixels",
            "datatype": "FP32",
            "shape": [-1, 64],
            "minimum": 0,
            "maximum": 16,
            "description": "ink, line by line",
        }
    ],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1], "description": "the digit"},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10], "description": "of each digit from 0 to 9"},
    ],
}


def main(out: Path) -> None:
    images, held_out, labels, held_out_labels = train_test_split(
        *load_digits(return_X_y=True), test_size=0.3, random_state=0
    )
    network = make_pipeline(MinMaxScaler(), MLPClassifier((32,), max_iter=600, random_state=0)).fit(images, labels)
    # zipmap=False: an array of probabilities, not one dictionary per row. Rows may be any number: None.
    graph = to_onnx(
        network,
        name="digits",
        initial_types=[("pixels", FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset=17,
    )
    examples = held_out[:8]
    folder = out / "digits" / MANIFEST["version"]
    write_folder(
        folder,
        MANIFEST,
        graph,
        golden_inputs=[{"pixels": pixels} for pixels in examples.tolist()],
        # The answers of scikit-learn: the folder is not written if the converted model answers otherwise.
        golden_expected=[
            {"label": label, "probabilities": probabilities}
            for label, probabilities in zip(
                network.predict(examples).tolist(), network.predict_proba(examples).tolist(), strict=True
            )
        ],
    )
    print(f"{folder}: accuracy {network.score(held_out, held_out_labels):.3f} on {len(held_out)} held-out digits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
