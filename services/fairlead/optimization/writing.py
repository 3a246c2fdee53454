"""Writes the folder of the new version: the graph, the manifest of the original, its golden rows asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.optimization import estimators, graphs, pruning, quantizing, torch_modules
from fairlead.serving.formats import artifact, golden
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.writer import write_folder

_KEPT = ("title", "contact", "license", "tags", "batching", "isolation", "idempotent", "deterministic", "rtol", "atol")
_OF_A_TABLE = {"column", "column_type", "missing"}
GOLDEN_ROWS = 8
MOST_LETTERS = 40
"""Of a version."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do: every result is an ONNX graph. `prune` is the share of units to take out of each hidden layer."""

    quantize: bool = False
    prune: float | None = None

    def described(self, format_: str) -> list[str]:
        """The steps in words."""
        found = [] if format_ == "onnx" else [f"{format_} to ONNX"]
        if self.prune is not None:
            found.append(f"{self.prune:.0%} of the units of hidden layers taken out")
        return [*found, "quantised to int8"] if self.quantize else found

    @property
    def suffix(self) -> str:
        """What the version gets at its end."""
        pruned = "" if self.prune is None else f"-pruned{round(100 * self.prune)}"
        return (pruned + "-int8" * self.quantize) or "-onnx"


def version_of(original: str, steps: Steps) -> str:
    """A version that says where it comes from: "1.0.0-int8". Raises Invalid if it would be too long."""
    made = original + steps.suffix
    if len(made) > MOST_LETTERS:
        raise errors.Invalid(f"the version {made} would be too long", hint="Name one: --version VERSION.")
    return made


def write(
    original: ModelFolder, folder: Path, version: str, steps: Steps, rows: Sequence[Mapping[str, Any]]
) -> ModelFolder:
    """Write the new version. `rows` measure the scales of int8, and become golden rows where the original has none.

    Raises Refused if a step cannot be taken or is pointless, or the result cannot be served; Invalid for a format
    that no step takes; and Unavailable if a library is missing.
    """
    given = [row.input for row in original.golden] or [dict(row) for row in rows[:GOLDEN_ROWS]]
    manifest = _manifest(original, version, steps)
    labels = [one.labels.file for one in original.manifest.outputs if one.labels]
    files = [original.folder / name for name in dict.fromkeys(labels)]
    graph = _onnx(original, given, steps)
    if steps.prune is not None:
        graph = pruning.narrower(graph, steps.prune)
    if steps.quantize:
        draft = write_folder(folder, manifest, graph, files=files)
        graph = quantizing.to_int8(
            graph, _batches(draft, [*rows[: quantizing.MOST_ROWS], *given][: quantizing.MOST_ROWS])
        )
    try:
        return write_folder(folder, manifest, graph, files=files, golden_inputs=given)
    except errors.ModelFailed as cause:
        raise errors.Refused(f"the new version cannot be served: {cause.message}", hint=cause.hint) from None


def _manifest(original: ModelFolder, version: str, steps: Steps) -> dict[str, Any]:
    stated = original.manifest
    kept = stated.model_dump(mode="json", include=set(_KEPT), exclude_defaults=True)
    origin = f"{stated.version}, {', '.join(steps.described(stated.format))}"
    return {
        "name": stated.name,
        "version": version,
        **kept,
        "description": " ".join(filter(None, [_sentence(stated.description), f"Made of {origin}."])),
        "format": "onnx",
        "inputs": [_field(one) for one in stated.inputs],
        "outputs": [_field(one) for one in stated.outputs],
    }


def _field(one: Tensor) -> dict[str, Any]:
    stated = one.model_dump(mode="json", exclude_defaults=True, exclude=_OF_A_TABLE)
    return {"name": one.name, "datatype": one.datatype, "shape": [*one.shape], **stated}


def _onnx(original: ModelFolder, given: Sequence[Mapping[str, Any]], steps: Steps) -> bytes:
    """The original as a graph, before anything else is done to it."""
    stated = original.manifest
    if stated.format == "onnx" and not stated.entry:
        return _own_graph(original)
    if stated.format in estimators.FORMATS and not stated.entry:
        model: Any = original.start()
        # int8 is for float32 only
        return estimators.to_onnx(model.estimator, stated.inputs, stated.outputs, doubles=not steps.quantize)
    if stated.format == torch_modules.FORMAT:
        return _torch_graph(original, given)
    if stated.entry:
        raise errors.Refused(
            f"{original.folder}: its answers come from the class {stated.entry}, which is code that no converter reads",
            hint="Write the folder without a class (`fairlead new`), or optimise it by hand and judge that version: "
            "fairlead optimize DIR --judge DIR2",
        )
    raise errors.Refused(
        f"{original.folder}: the format {stated.format} is not converted",
        hint="Formats that are: onnx, sklearn, joblib, pickle, skops, torch-state-dict. Convert it by "
        "hand and judge that version: fairlead optimize DIR --judge DIR2",
    )


def _own_graph(original: ModelFolder) -> bytes:
    onnx = graphs.needed("onnx")
    assert original.manifest.artifact is not None  # of its format
    with artifact.checked(original.folder, original.manifest.artifact) as path:
        made: bytes = onnx.load(next(path.glob("*.onnx")) if path.is_dir() else path).SerializeToString()
    return made


def _torch_graph(original: ModelFolder, given: Sequence[Mapping[str, Any]]) -> bytes:
    model: Any = original.start()
    if not given:
        raise errors.Invalid(
            f"{original.folder} has no golden rows, and PyTorch exports a module by an example",
            hint="Give rows as clients send them: --data FILE.",
        )
    parsed = [golden.parsed(row, original.row_type) for row in given]
    # one row would become a fixed size
    arrays: Mapping[str, np.ndarray] = model.arrays((parsed * 2)[: max(2, len(parsed))])
    module = model.network
    stated = original.manifest
    names = list(arrays) if module.inputs is None else [one.name for one in module.inputs]
    examples = {name: arrays[name] for name in names}
    return torch_modules.to_onnx(module.call, examples, stated.inputs, stated.outputs, by_name=module.by_name)


def _batches(draft: ModelFolder, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, np.ndarray]]:
    if not rows:
        raise errors.Invalid(
            f"{draft.folder} has no golden rows, and the scales of int8 are measured on rows",
            hint="Give rows as clients send them: --data FILE.",
        )
    model: Any = draft.start()
    return [model.arrays([golden.parsed(row, draft.row_type)]) for row in rows]


def _sentence(description: str) -> str:
    return f"{description}." if description and description[-1] not in ".!?" else description
