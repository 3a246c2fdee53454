"""Files of networks: writes the folder of one that names its inputs and outputs, and says of others what they lack.

Those are files of ONNX, of Keras and of torch.export. Other files of PyTorch have the weights of a network, but neither
its class nor its inputs.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import base, golden, onnx_file, rows
from fairlead.serving.formats.folder import FORMATS, ModelFolder
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.formats.onnx import Onnx
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.new import golden_rows
from fairlead.serving.new.golden_rows import Chosen
from fairlead.serving.new.network_sample import sampled

_WEIGHTS = (
    'write_folder(FOLDER, {{"name": ..., "version": ..., "format": "torch-state-dict", "entry": "net:Class", '
    '"inputs": [...], "outputs": [...]}}, Path("{file}"), code=[Path("net.py")])'
)
_SUFFIXES = {".onnx": "onnx", ".keras": "keras", ".h5": "keras-h5", ".hdf5": "keras-h5", ".pt2": "torch-export"}
CODE = {"keras-h5": "a file of HDF5, which may hold code", "torch-export": "a graph of torch.export, which is code"}
"""What the files are whose digest has to be stated."""
_PAGE = "Write its folder in Python: {call}. docs/formats-torch.md shows it whole."


def format_of(file: Path) -> str | None:
    """The format of a network's file, by its name; None for any other file.

    A folder with an ONNX file is one: that of a file whose weights are in other files.
    """
    if file.is_dir():
        return "onnx" if any(file.glob("*.onnx")) else None
    return _SUFFIXES.get(file.suffix.lower())


def check_none_of_pytorch(file: Path) -> None:
    """Raise Invalid for a file of PyTorch or of safetensors. The hint says what to write instead."""
    inner = {name.partition("/")[2] for name in _names(file)}
    if "constants.pkl" in inner:
        raise errors.Invalid(
            f"{file} is a TorchScript archive, which PyTorch has deprecated",
            hint="Save the weights where it was trained: torch.save(module.state_dict(), PATH). Or serve it with "
            "`format: torchscript`: docs/formats-torch.md",
        )
    if "data.pkl" in inner:
        what = "a file of torch.save: it has the weights of a network, but neither its class nor its inputs"
    elif file.suffix.lower() == ".safetensors":
        what = "a file of safetensors: it has the weights of a network, but neither its class nor its inputs"
    else:
        return
    raise errors.Invalid(f"{file} is {what}", hint=_PAGE.format(call=_WEIGHTS.format(file=file.name)))


def _names(file: Path) -> list[str]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


class Made(NamedTuple):
    """The folder, why outputs of the file are none of it, and its golden rows."""

    folder: ModelFolder
    left_out: tuple[errors.Invalid, ...]
    golden: Chosen


def write(folder: Path, stated: dict[str, Any], file: Path, data: Path | None) -> Made:
    """Write the folder of a network's file.

    The golden rows are those of the sample, or made up, with the network's own answers. `stated` has its format.
    Raises Invalid if it cannot be served, or answers no row of the sample, Refused if it has code that is not trusted,
    and ModelFailed if it answers a row differently in a batch than alone.
    """
    if stated["format"] == "onnx":
        base.library_of("onnx", "onnxruntime")  # before anything is written
        _check_weights_come_along(file)
    adapter, left_out = cast(base.Described, FORMATS[stated["format"]]), list[errors.Invalid]()
    if isinstance(adapter, Onnx):
        inputs, outputs, left_out = adapter.usable(file)
    else:
        inputs, outputs = adapter.signature(file)
    given = None
    if data is not None:
        given, inputs = sampled(inputs, data)
    tensors = {"inputs": inputs, "outputs": outputs}
    declared = {part: list(map(_stated, those)) for part, those in tensors.items()}
    manifest = stated | declared
    try:
        made = write_folder(folder, manifest, file)
        chosen = _chosen(made, given, data)
        written = write_folder(folder, manifest, file, golden_inputs=chosen.rows)
        return Made(written, tuple(left_out), chosen)
    except errors.FairleadError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _stated(tensor: Tensor) -> dict[str, Any]:
    """A tensor as the manifest states it. Without a sample it has no description."""
    fields = {"name", "datatype", "shape", *(["description"] if tensor.description else ())}
    return tensor.model_dump(mode="json", include=fields)


def _check_weights_come_along(file: Path) -> None:
    if file.is_file() and (external := onnx_file.read(file).external):
        others = sorted({entry.get("location", "") for entry in external})
        raise errors.Invalid(
            f"{file} has its weights in other files: {', '.join(others[:3])}",
            hint="Put it and these files into a folder of their own, and give that: --from FOLDER",
        )


def _chosen(made: ModelFolder, given: Iterable[dict[str, Any]] | None, data: Path | None) -> Chosen:
    """The rows that the network answers. Of made-up rows there may be none."""
    model = made.start()

    def ask(row: dict[str, Any]) -> None:
        rows.answer(model, [golden.parsed(row, made.row_type)])

    if given is None:
        return golden_rows.choose(made_up(made.row_type), ask, None)
    hint = "Give rows as the network gets them: encoded as in its training, and without missing values."
    return golden_rows.answered(given, ask, data, hint)
