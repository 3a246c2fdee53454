"""Train digits-torch and write its folder: `ci/models digits-torch`, or `python train.py [--out DIR]`.

It needs PyTorch (requirements/torch.txt), which `ci/models digits-torch` installs into an environment of its own: 5 GB.
"""

import argparse
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fairlead.serving.formats.writer import write_folder

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from net import Digits  # noqa: E402 - the file beside this one

MANIFEST = {
    "name": "digits-torch",
    "version": "1.0.0",
    "title": "Handwritten digits",
    "description": "A small convolutional network reads a digit from an image of 8 x 8 pixels.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "image", "classification"],
    "format": "torch-state-dict",
    "entry": "net:Digits",
    "inputs": [
        {
            "name": "pixels",
            "datatype": "FP32",
            "shape": [-1, 1, 8, 8],
            "minimum": 0,
            "maximum": 1,
            "description": "ink, line by line",
        }
    ],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1], "description": "the digit"},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10], "description": "of each digit from 0 to 9"},
    ],
}


def main(out: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # sums in one order: the same weights each time
    data = load_digits()
    images, held_out, labels, held_out_labels = train_test_split(
        torch.tensor(data.images / 16, dtype=torch.float32)[:, None],
        torch.tensor(data.target),
        test_size=0.3,
        random_state=0,
    )
    network = Digits()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(120):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network.layers(images), labels).backward()
        optimizer.step()
    folder = out / "digits-torch" / MANIFEST["version"]
    write_folder(
        folder,
        MANIFEST,
        network,
        code=[HERE / "net.py"],
        golden_inputs=[{"pixels": image.tolist()} for image in held_out[:8]],
    )
    with torch.inference_mode():
        right = (network.eval()(held_out)["label"] == held_out_labels).float().mean().item()
    print(f"{folder}: accuracy {right:.3f} on {len(held_out)} held-out digits")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
