"""Train digits-keras and write its folder: `ci/models digits-keras`, or `python train.py [--out DIR]`.

It needs Keras and PyTorch (requirements/keras.txt and torch.txt), which `ci/models digits-keras` installs into
environments of their own: 5 GB.
"""

import argparse
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported

import keras
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fairlead.serving.formats.writer import write_folder

MANIFEST = {
    "name": "digits-keras",
    "version": "1.0.0",
    "title": "Handwritten digits",
    "description": "A small convolutional network reads a digit from an image of 8 x 8 pixels.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "image", "classification"],
    "format": "keras",
    "inputs": [
        {
            "name": "pixels",
            "datatype": "FP32",
            "shape": [-1, 8, 8, 1],
            "minimum": 0,
            "maximum": 16,
            "description": "ink, line by line",
        }
    ],
    "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10], "description": "of each digit from 0 to 9"}
    ],
}


def network() -> keras.Model:
    layers = keras.layers
    pixels = keras.Input((8, 8, 1), name="pixels")
    ink = layers.Rescaling(1 / 16)(pixels)
    shapes = layers.MaxPooling2D()(layers.Conv2D(8, 3, padding="same", activation="relu")(ink))
    features = layers.Flatten()(layers.Conv2D(16, 3, padding="same", activation="relu")(shapes))
    return keras.Model(pixels, layers.Dense(10, activation="softmax", name="probabilities")(features))


def main(out: Path) -> None:
    keras.utils.set_random_seed(0)
    torch.set_num_threads(1)  # sums in one order: the same weights each time
    data = load_digits()
    images, held_out, labels, held_out_labels = train_test_split(
        data.images[..., None].astype("float32"), data.target, test_size=0.3, random_state=0
    )
    model = network()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=8, batch_size=128, verbose=0)
    folder = out / "digits-keras" / MANIFEST["version"]
    write_folder(folder, MANIFEST, model, golden_inputs=[{"pixels": image.tolist()} for image in held_out[:8]])
    right = (model.predict(held_out, verbose=0).argmax(1) == held_out_labels).mean()
    print(f"{folder}: accuracy {right:.3f} on {len(held_out)} held-out digits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
