"""Format `torch-state-dict`: the weights of a PyTorch module, whose class or factory `entry` names.

The weights are data: a file of `torch.save` is read with `weights_only=True`, which builds tensors and nothing else,
and a file of safetensors has no other content. The architecture is code of the model folder.
"""

from __future__ import annotations

import inspect
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats import base, device, torch_runtime

NAME = "torch-state-dict"
_ZIP = b"PK\x03\x04"
_SHOWN = 400


class TorchStateDict:
    """`format: torch-state-dict`: a file of `torch.save(module.state_dict(), PATH)`, or of safetensors."""

    def __init__(self, make: Callable[[], Any] | None = None) -> None:
        self._make = make

    def built_by(self, make: Callable[[], Any]) -> TorchStateDict:
        """The same format, whose modules this class or factory makes."""
        return TorchStateDict(make)

    def read(self, artifact: Path) -> Any:
        """The module with its weights, ready to be called. Raises Invalid if the file does not fit it."""
        assert self._make is not None  # a manifest of this format has an `entry`
        torch = torch_runtime.library(NAME)
        where = device.of_torch(torch)
        weights = _weights(torch, artifact)
        module = self._make()
        if not isinstance(module, torch.nn.Module):
            kind = type(module).__name__
            raise errors.Invalid(f"format '{NAME}': `entry` made a {kind}, which is not a torch.nn.Module")
        try:
            module.load_state_dict(weights)
        except RuntimeError as cause:  # one line for each kind of difference
            raise errors.Invalid(
                f"format '{NAME}': the weights in {artifact.name} are not those of {type(module).__name__}: "
                + " ".join(str(cause).split(":", 1)[-1].split())[:_SHOWN],
                hint="Give the class the same sizes as in training; `entry` may name a function that does so.",
            ) from None
        module.eval().to(where)
        return torch_runtime.Module(torch, module, where, by_name=_several(module))

    def write(self, value: Any, artifact: Path) -> None:
        """Write the weights of a module or a state dict, or copy a file. The same weights give the same bytes."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        torch = torch_runtime.library(NAME)
        if isinstance(value, torch.nn.Module):
            value = value.state_dict()
        if not isinstance(value, Mapping):
            raise errors.Invalid(
                f"format '{NAME}' writes a module, its state dict or a path, not a {type(value).__name__}"
            )
        torch.save({name: part.detach().cpu().clone() for name, part in value.items()}, artifact)


def _several(module: Any) -> bool:
    """Whether the module is called by the names of its arguments: it has several, so an order could be wrong."""
    return len([one for one in inspect.signature(module.forward).parameters.values() if one.default is one.empty]) > 1


def _weights(torch: Any, artifact: Path) -> Mapping[str, Any]:
    with artifact.open("rb") as file:
        is_zip = file.read(4) == _ZIP
    weights = _saved(torch, artifact) if is_zip else _safetensors(artifact)
    if not isinstance(weights, Mapping):
        raise _no_state_dict(artifact, f"a {type(weights).__name__}")
    if others := [str(name) for name, value in weights.items() if not isinstance(value, torch.Tensor)]:
        raise _no_state_dict(artifact, f"a dictionary whose {', '.join(others[:6])} are no tensors")
    return weights


def _saved(torch: Any, artifact: Path) -> Any:
    _check_archive(artifact)
    try:
        return torch.load(artifact, weights_only=True, map_location="cpu")
    except Exception as cause:  # it has no class for its errors
        wanted = str(cause).partition("GLOBAL ")[2].split(" ", 1)[0]
        what = f"it holds {wanted.rstrip('.')}" if wanted else " ".join(str(cause).split())[:120]
        raise errors.Invalid(
            f"format '{NAME}': {artifact.name} is not only weights, and reading more could run code: {what}",
            hint="Save the weights alone: `torch.save(module.state_dict(), PATH)`.",
        ) from None


def _check_archive(artifact: Path) -> None:
    """Raise Invalid for another archive. torch.save compresses nothing: such a part could become any size."""
    try:
        with zipfile.ZipFile(artifact) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as cause:
        raise errors.Invalid(
            f"format '{NAME}': {artifact.name} is not a complete file of torch.save: {cause}",
            hint="Copy the whole file again, or save it again.",
        ) from None
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise errors.Invalid(
            f"format '{NAME}': {artifact.name} is a TorchScript archive, which PyTorch has deprecated",
            hint="Save the weights (`torch.save(module.state_dict(), PATH)`), or the graph with torch.export and "
            "`format: torch-export`. As it is, `format: torchscript` serves it.",
        )
    size = artifact.stat().st_size
    if any(part.compress_type != zipfile.ZIP_STORED or part.file_size > size for part in parts):
        raise errors.Invalid(f"format '{NAME}': {artifact.name} has compressed parts, which torch.save does not write")


def _safetensors(artifact: Path) -> Any:
    library = base.library_of(NAME, "safetensors.torch")
    try:
        return library.load_file(artifact)
    except Exception as cause:
        raise errors.Invalid(
            f"format '{NAME}': {artifact.name} is neither a file of torch.save nor one of safetensors: {cause}",
            hint="Save it with PyTorch 1.6 or later: `torch.save(module.state_dict(), PATH)`.",
        ) from None


def _no_state_dict(artifact: Path, found: str) -> errors.Invalid:
    return errors.Invalid(
        f"format '{NAME}': {artifact.name} holds {found}, not the weights of a module",
        hint="Save `module.state_dict()`, not the whole checkpoint of a training.",
    )
