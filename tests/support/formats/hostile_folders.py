"""Model folders with hostile or damaged artifacts of each format, and what loading them does.

python -m support.formats.hostile_folders write KIND FOLDER      makes them: some need much memory to be made
python -m support.formats.hostile_folders load KIND FOLDER       loads each of them in this one process, as it would be
served, and prints a JSON line for each
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import json
import pickle
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import joblib
import yaml
from pydantic import ValidationError

from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from support import booster_files, image_files
from support.formats.graphs_of_bytes import pickle_with_code

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "pickle and joblib": ("joblib", "sklearn"),
    "image": ("onnxruntime", "PIL.Image"),
    "ONNX": ("onnxruntime",),
    "skops": ("skops.io", "sklearn"),
    "XGBoost": ("xgboost",),
    "LightGBM": ("lightgbm",),
    "PyTorch (.pt)": ("torch",),
    "safetensors": ("torch", "safetensors.torch"),
    "Keras (.keras)": ("torch", "keras"),
    "HDF5 (.h5)": ("torch", "keras"),
}
"""The kinds of files, and what is imported before memory is measured."""
NEEDS_TORCH = ("PyTorch (.pt)", "safetensors", "Keras (.keras)", "HDF5 (.h5)")
MARK = "executed"
"""The file that a hostile file makes in its folder, if it is executed."""


def write(kind: str, folder: Path) -> None:
    """Write a model folder, or an image, for each file of a kind. The name of each is in `names.json`."""
    folder.mkdir(parents=True)
    names = []
    for number, (name, make) in enumerate(WRITERS[kind]()):
        make(folder / str(number))
        names.append(name)
    (folder / "names.json").write_text(json.dumps(names))


def _pickles() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Pickles with the digest of another file: what somebody exchanged is not read. Reading one runs its code."""

    def of_joblib(mark: Path) -> bytes:
        written = io.BytesIO()
        joblib.dump({"weights": [1.0]}, written)
        return written.getvalue()

    made: Mapping[str, tuple[str, Callable[[Path], bytes]]] = {
        "a pickle with code": ("pickle", pickle_with_code),
        "a pickle of protocol 0 with code": ("pickle", _of_protocol_0),
        "a pickle with code after a number": ("pickle", lambda mark: pickle.dumps(1)[:-1] + pickle_with_code(mark)),
        "a pickle that is cut off": ("pickle", lambda mark: pickle_with_code(mark)[:-3]),
        "a pickle of nested tuples": ("pickle", lambda mark: b"(" * 10**6 + b"t" * 10**6 + b"."),
        "a pickle that multiplies itself": ("pickle", lambda mark: b"]" + b"2(e" * 60 + b"."),
        "a file of joblib with code": ("joblib", pickle_with_code),
        "a compressed file of joblib with code": ("joblib", lambda mark: zlib.compress(pickle_with_code(mark))),
        "a bomb of joblib": ("sklearn", lambda mark: zlib.compress(bytes(2**29))),
        "an estimator with code": ("sklearn", pickle_with_code),
        "a file of joblib of another training": ("sklearn", of_joblib),
    }  # fmt: skip
    declared = [{"name": "x", "datatype": "FP64"}]
    for name, (stated, make) in made.items():
        yield name, _writer(make, format=stated, inputs=declared, outputs=declared, other_digest=True)


def _of_protocol_0(mark: Path) -> bytes:
    return f"cposix\nsystem\n(S'touch {mark}'\ntR.".encode()


def _writer(make: Callable[[Path], bytes], *, other_digest: bool = False, **stated: Any) -> Callable[[Path], None]:
    def write_it(folder: Path) -> None:
        folder.mkdir()
        data = make(folder / MARK)
        (folder / "model.bin").write_bytes(data)
        digest = hashlib.sha256(b"what was trained" if other_digest else data).hexdigest()
        artifact = {"path": "model.bin", "sha256": digest}
        manifest = {"name": "m", "version": "1.0.0", "artifact": artifact, **stated}
        (folder / "fairlead.yaml").write_text(yaml.safe_dump(manifest))

    return write_it


def _boosters(library: str, files: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for name, (make, _) in files.items():
        yield name, _writer(lambda mark, make=make: make(), format=library)  # type: ignore[misc]


def _images() -> Iterator[tuple[str, Callable[[Path], None]]]:
    for name, data in image_files.hostile().items():
        yield name, lambda folder, data=data: folder.write_bytes(data)  # type: ignore[misc]


def _tests(name: str) -> Any:
    """A module of tests/integration/formats, which has the files beside the sentences that they get."""
    return importlib.import_module(f"integration.formats.{name}")


def _onnx() -> Iterator[tuple[str, Callable[[Path], None]]]:
    tests = _tests("test_hostile")
    for name, (make, _) in tests.SENTENCES.items():
        yield name, lambda folder, make=make: tests.folder(folder, make())  # type: ignore[misc]


def _with_mark(module: str, files: str, **stated: Any) -> Iterator[tuple[str, Callable[[Path], None]]]:
    tests = _tests(module)
    for name, (make, _) in getattr(tests, files).items():
        yield name, lambda folder, make=make: tests.folder(folder, make(_mark(folder)), **stated)  # type: ignore[misc]


def _mark(folder: Path) -> Path:
    return folder / MARK


def _skops() -> Iterator[tuple[str, Callable[[Path], None]]]:
    tests = _tests("test_skops")
    for name, (schema, _) in tests.CODE.items():
        yield (
            name,
            lambda folder, schema=schema: tests.folder(folder, tests.hostile.file(schema(_mark(folder)))),  # type: ignore[misc]
        )
    yield from _with_mark("test_skops", "DAMAGED")


def _torch() -> Iterator[tuple[str, Callable[[Path], None]]]:
    tests, torch = _tests("test_torch"), importlib.import_module("torch")
    for name, (make, _) in tests.SENTENCES.items():
        if name != "TorchScript":  # making one warns that it is deprecated
            yield name, lambda folder, make=make: tests.folder(folder, make(torch, _mark(folder)))  # type: ignore[misc]


def _safetensors() -> Iterator[tuple[str, Callable[[Path], None]]]:
    tests = _tests("test_torch")

    def file(header: Any, data: bytes = bytes(12), *, size: int | None = None) -> bytes:
        told = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(told) if size is None else size) + told + data

    def tensor(*shape: int, begin: int = 0, end: int = 8, dtype: str = "F32") -> dict[str, Any]:
        return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}

    bias = {"line.bias": tensor(1, begin=8, end=12)}
    files = {
        "a header longer than the file": file({}, size=2**40),
        "a header of 2^63 bytes": file({}, size=2**63),
        "a header that is no JSON": file(b"{"),
        "a header that nests deep": file(b'{"a":' + b"[" * 10**5),
        "no header": struct.pack("<Q", 0),
        "a tensor outside of the file": file(bias | {"line.weight": tensor(1, 2, begin=2**40, end=2**40 + 8)}),
        "a tensor of a terabyte": file(bias | {"line.weight": tensor(2**19, 2**19)}),
        "tensors in the same bytes": file({"line.bias": tensor(1, end=4), "line.weight": tensor(1, 2)}),
        "a shape beyond 64 bits": file(bias | {"line.weight": tensor(2**40, 2**40)}),
        "a negative shape": file(bias | {"line.weight": tensor(-1, 2)}),
        "a datatype that there is not": file(bias | {"line.weight": tensor(1, 2, dtype="F31")}),
        "cut off": file(bias | {"line.weight": tensor(1, 2)}, bytes(7)),
        "weights of another size": file(bias | {"line.weight": tensor(2, 1)}),
        "a weight that is missing": file({"line.bias": tensor(1, end=4)}, bytes(4)),
    }
    for name, data in files.items():
        yield name, lambda folder, data=data: tests.folder(folder, data)  # type: ignore[misc]


WRITERS: Mapping[str, Callable[[], Iterator[tuple[str, Callable[[Path], Any]]]]] = {
    "pickle and joblib": _pickles,
    "image": _images,
    "ONNX": _onnx,
    "skops": _skops,
    "XGBoost": lambda: _boosters("xgboost", booster_files.XGBOOST),
    "LightGBM": lambda: _boosters("lightgbm", booster_files.LIGHTGBM),
    "PyTorch (.pt)": _torch,
    "safetensors": _safetensors,
    "Keras (.keras)": lambda: _with_mark("test_keras", "FILES"),
    "HDF5 (.h5)": lambda: _with_mark("test_keras", "H5", format="keras-h5"),
}


def load(kind: str, folder: Path) -> Iterator[dict[str, Any]]:
    """What each folder, or image, does. The first line has the memory in MiB before all of them, the last one after."""
    for library in LIBRARIES[kind]:
        importlib.import_module(library)
    row_type = load_folder(folder.parent / "colors").row_type if kind == "image" else None
    yield {"peak_mib": _peak_mib()}
    for number, name in enumerate(json.loads((folder / "names.json").read_text())):
        one = folder / str(number)
        try:
            if row_type is None:
                load_folder(one).start()
            else:
                row_type.model_validate({"photo": base64.b64encode(one.read_bytes()).decode()})
            outcome = "accepted"
        except errors.FairleadError as refused:
            outcome = "refused" if refused.message and "\n" not in refused.message else "a refusal that is not clear"
        except ValidationError as refused:
            outcome = "refused" if refused.errors()[0]["msg"] else "a refusal that is not clear"
        except Exception as raised:
            outcome = f"raised {type(raised).__name__}"
        yield {"name": name, "outcome": outcome, "executed": (one / MARK).exists()}
    yield {"peak_mib": _peak_mib()}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    TASK, KIND, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if TASK == "write":
        write(KIND, FOLDER)
    else:
        for line in load(KIND, FOLDER):
            print(json.dumps(line), flush=True)
