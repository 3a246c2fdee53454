"""A model folder whose network says which of red, green and blue an image has most of. Needs onnx."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
from onnx import helper

from fairlead.serving.formats.writer import write_folder
from support.formats.graphs import floats, model
from support.image_files import file

SIZE = 32
COLORS = ("red", "green", "blue")


def color(name: str, kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    """An image of one colour."""
    return file(PIL.Image.new("RGB", size, "lime" if name == "green" else name), kind)


def folder(path: Path, golden: Sequence[Path], **image: Any) -> Path:
    """Write the folder, with these images as golden rows."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["photo"], ["means"]),
        helper.make_node("Flatten", ["means"], ["color"]),
    ]
    network = model(nodes, [floats("photo", 3, SIZE, SIZE)], [floats("color", 3)], {})
    labels = path.parent / "labels.txt"
    labels.write_text("\n".join(COLORS) + "\n")
    photo = {"name": "photo", "datatype": "FP32", "shape": [-1, 3, SIZE, SIZE], "image": image, "description": "any"}
    output = {"name": "color", "datatype": "FP32", "shape": [-1, 3], "labels": {"file": "labels.txt", "top": 2}}
    manifest = {
        "name": "colors",
        "version": "1.0.0",
        "title": "Colours",
        "description": "The colour that an image has most of.",
        "contact": {"name": "Tests"},
        "license": {"name": "Apache-2.0"},
        "format": "onnx",
        "inputs": [photo],
        "outputs": [output],
    }
    write_folder(path, manifest, network, files=[labels], golden_inputs=[{"photo": one} for one in golden])
    return path
