"""Format `onnx`: a graph of operators, computed by onnxruntime. The file is data: reading it runs no code.

The graph names its inputs and outputs with their types, so the manifest need not. The threads of a call are those of
the CPU quota. onnxruntime opens a private copy whose `external_data` was looked at before, and no memory arena keeps
what the largest batch needed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving import cpu_quota
from fairlead.serving.formats import base, device, memory_errors, networks, onnx_file, shared_dimensions
from fairlead.serving.formats.row_forms import RowForm, row_form

ELEMENTS: Mapping[int, str] = MappingProxyType(
    {
        1: "FP32",
        2: "UINT8",
        3: "INT8",
        4: "UINT16",
        5: "INT16",
        6: "INT32",
        7: "INT64",
        8: "BYTES",
        9: "BOOL",
        10: "FP16",
        11: "FP64",
        12: "UINT32",
        13: "UINT64",
    }
)
"""The types of elements in onnx.proto3, each with its datatype."""
_PLACE = re.compile(r"^.*?\) (?=[A-Z])|/onnxruntime_src/\S+ ", re.DOTALL)
"""Where in onnxruntime an error comes from."""
_FATAL = 4


class Onnx:
    """`format: onnx`: an ONNX file, or a folder with one and the files of its weights."""

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and outputs of the graph. Raises Invalid if one of them cannot be a field."""
        graph = onnx_file.read(_model(artifact))
        form = _row_form(graph)
        outputs = (_tensor("output", one, form) for one in graph.outputs)
        return _inputs(graph, form), networks.distinct("format 'onnx': output", outputs)

    def usable(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], list[errors.Invalid]]:
        """The inputs, the outputs that can be fields, and what is wrong with the others. Raises Invalid if none can."""
        graph = onnx_file.read(_model(artifact))
        form, outputs, others = _row_form(graph), list[Tensor](), list[errors.Invalid]()
        for one in graph.outputs:
            try:
                outputs.append(_tensor("output", one, form))
            except errors.Invalid as cause:
                others.append(cause)
        if others and not outputs:
            raise others[0]
        return _inputs(graph, form), networks.distinct("format 'onnx': output", outputs), others

    def dimensions(self, artifact: Path) -> shared_dimensions.Names:
        """The names of the dimensions of each input. Raises Invalid if the file is damaged, or OSError."""
        graph = onnx_file.read(_model(artifact))
        rows = ("",) if _row_form(graph) is RowForm.A_WHOLE_CALL else ()
        return {networks.field_name(one.name): (*rows, *one.dimensions) for one in graph.inputs}

    def read(self, artifact: Path) -> Any:
        """Start a session of onnxruntime. Raises Invalid if the file is damaged, or onnxruntime cannot compute it."""
        runtime = base.library_of("onnx", "onnxruntime")
        model = _model(artifact)
        graph = onnx_file.read(model)
        onnx_file.check_external(graph, model)
        providers = device.providers(runtime)
        try:
            session = runtime.InferenceSession(str(model), _options(runtime), providers=providers)
        except Exception as cause:  # its errors have no class in common
            raise errors.Invalid(
                f"format 'onnx': onnxruntime {runtime.__version__} cannot load {model.name}: {said(cause)}",
                hint=_hint(graph, str(cause)),
            ) from None
        return _Session(session, graph)

    def write(self, value: Any, artifact: Path) -> None:
        """Write an `onnx.ModelProto` or its bytes, or copy a file, or a folder with the files of its weights."""
        if hasattr(value, "SerializeToString"):
            value = value.SerializeToString()
        if isinstance(value, bytes):
            artifact.write_bytes(value)
        elif isinstance(value, str | Path) and Path(value).is_dir():
            shutil.copytree(value, artifact)
        elif isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
        else:
            raise errors.Invalid(
                f"format 'onnx' writes a model of onnx, bytes or a path; a {type(value).__name__} is none of them",
                hint="Convert it first: `skl2onnx.to_onnx` for scikit-learn, `torch.onnx.export` for PyTorch.",
            )


class _Session:
    """A session of onnxruntime, called with the names of the fields."""

    def __init__(self, session: Any, graph: onnx_file.Graph) -> None:
        self.row_form = form = _row_form(graph)
        self.inputs = _inputs(graph, form)
        # A manifest may name some of the outputs, so one that cannot be served by its graph's word alone is no error.
        self.outputs = tuple(_usable(graph.outputs, form))
        self.unstated = frozenset(map(networks.field_name, (one.name for one in graph.outputs))) - {
            one.name for one in self.outputs
        }
        self._run = session.run
        self._inputs = {networks.field_name(one.name): one.name for one in graph.inputs}
        self._outputs = {networks.field_name(one.name): one.name for one in graph.outputs}

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The wanted outputs. Raises ModelFailed with onnxruntime's reason."""
        given = {self._inputs[name]: array for name, array in arrays.items()}
        try:
            found: Sequence[Any] = self._run([self._outputs[name] for name in wanted], given)
        except Exception as cause:
            if problem := memory_errors.of(cause, len(next(iter(arrays.values())))):
                raise problem from None
            raise errors.ModelFailed(f"onnxruntime cannot compute these rows: {said(cause)}") from None
        return found


def said(cause: Exception) -> str:
    """What an error of onnxruntime says, without the places in its source that it comes from."""
    text = str(cause).partition(" : ")[2].partition(" : ")[2] or str(cause)
    return " ".join(_PLACE.sub("", text).split())[:400].rstrip(". ")


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = cpu_quota.compute_threads(os.environ)
    options.inter_op_num_threads = 1
    # Threads that wait for work would take the CPU from the threads that answer requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL  # its errors are raised too
    return options


def _model(artifact: Path) -> Path:
    if not artifact.is_dir():
        return artifact
    found = sorted(artifact.glob("*.onnx"))
    if len(found) != 1:
        raise errors.Invalid(
            f"format 'onnx': the folder {artifact.name} has {len(found)} files *.onnx; it must have one",
            hint="Put the model and the files of its weights into a folder of their own.",
        )
    return found[0]


def _row_form(graph: onnx_file.Graph) -> RowForm:
    return row_form([one.shape for one in graph.inputs], [one.shape for one in graph.outputs])


def _inputs(graph: onnx_file.Graph, form: RowForm) -> tuple[Tensor, ...]:
    return networks.distinct("format 'onnx': input", (_tensor("input", one, form) for one in graph.inputs))


def _usable(outputs: Sequence[onnx_file.Value], form: RowForm) -> Iterator[Tensor]:
    for one in outputs:
        with suppress(errors.Invalid):
            yield _tensor("output", one, form)


def _tensor(part: str, value: onnx_file.Value, form: RowForm) -> Tensor:
    where = f"format 'onnx': {part}"
    if value.element == 0:
        raise errors.Invalid(
            f"{where} {value.name!r} is no tensor",
            hint="A classifier of skl2onnx returns maps by default: convert it with `options={'zipmap': False}`.",
        )
    if (datatype := ELEMENTS.get(value.element)) is None:
        raise errors.Invalid(
            f"{where} {value.name!r} has elements of the type {value.element} of ONNX, which no datatype stands for",
            hint="Add a Cast to FLOAT at the graph's inputs and outputs: the weights may stay in half precision.",
        )
    shape = None if value.shape is None else form.in_batches(value.shape)
    return networks.tensor(where, value.name, datatype, shape)


def _hint(graph: onnx_file.Graph, text: str) -> str:
    named = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in sorted(graph.opsets.items()))
    if "domain" in text and "No opset import" in text or "is not a registered" in text:
        return "It uses operators of its own, which need code: only the operators of ONNX are served."
    return (
        f"The file has IR version {graph.ir_version} and the operator sets {named or 'none'}. Export it for an older "
        "one (`opset_version`, `target_opset`), or install a newer onnxruntime."
    )
