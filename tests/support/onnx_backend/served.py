"""Serves ONNX's own test models, and asks each in V2, in JSON and in binary form. Prints one line of JSON for each.

python -m support.onnx_backend.served FOLDER STEP SKIP     every STEP-th model, without the first SKIP of them
"""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import struct
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

from fairlead import errors
from fairlead.serving.app import App, build_app
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.networks import field_name
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.open_inference.binary_form import HEADER
from support.onnx_backend.cases import Case, cases
from support.onnx_backend.reasons import class_of
from support.small_models import Reply, ask

NUMBERS = {
    "BOOL": "<u1",
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
"""The datatypes of numbers, as numpy names them."""
INFER = "/v2/models/backend/infer"


class Result(NamedTuple):
    """What a model answered in a protocol. `why` is empty if it answered as ONNX expects."""

    reason: str = ""
    why: str = ""


def main(folder: Path, step: int, skip: int) -> None:
    """Serve the models, one after the other."""
    onnxruntime.set_default_logger_severity(4)
    for case in cases(step, skip):
        named = {"kind": case.kind, "name": case.name}
        print(json.dumps({**named, "begins": True}), flush=True)
        try:
            found = _served(case, folder / "model")
        except errors.FairleadError as refused:
            found = _both(Result(class_of(case, f"{refused.message} {refused.hint}"), refused.message))
        print(json.dumps({**named, **{form: result._asdict() for form, result in found.items()}}), flush=True)


def _both(result: Result) -> dict[str, Result]:
    return {"json": result, "binary": result}


def _served(case: Case, folder: Path) -> dict[str, Result]:
    shutil.rmtree(folder, ignore_errors=True)
    model = write_folder(folder, {"name": "backend", "version": "1.0.0", "format": "onnx"}, case.model)
    return asyncio.run(_asked(case, model))


async def _asked(case: Case, model: ModelFolder) -> dict[str, Result]:
    app = build_app(model)
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(0.0005)
        if app.state.phase == "failed":
            return _both(Result(class_of(case, app.state.reason), app.state.reason))
        facts = json.loads((await ask(app, "GET", "/v2/models/backend")).body)
        sent = _tensors(case, facts)
        return {"json": await _in_json(app, case, sent), "binary": await _in_binary(app, case, sent)}


def _tensors(case: Case, facts: dict[str, Any]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """The inputs as tensors of the protocol, each without its data and with its array."""
    described = {one["name"]: one for one in facts["inputs"]}
    initial = {one.name for one in case.model.graph.initializer}
    names = [field_name(one.name) for one in case.model.graph.input if one.name not in initial]
    found = []
    for name, value in zip(names, case.inputs, strict=False):
        one, array = described[name], np.asarray(value)
        shape = [1, *array.shape] if len(one["shape"]) == array.ndim + 1 else [*array.shape]
        found.append(({"name": name, "shape": shape, "datatype": one["datatype"]}, array))
    return found


async def _in_json(app: App, case: Case, sent: list[tuple[dict[str, Any], np.ndarray]]) -> Result:
    inputs = [{**one, "data": array.ravel().tolist()} for one, array in sent]
    reply = await ask(app, "POST", INFER, json.dumps({"inputs": inputs}).encode())
    if reply.status != 200:
        return _refused(case, reply)
    return _compared(case, [_of_json(one) for one in json.loads(reply.body)["outputs"]])


async def _in_binary(app: App, case: Case, sent: list[tuple[dict[str, Any], np.ndarray]]) -> Result:
    raw = [_raw(one["datatype"], array) for one, array in sent]
    inputs = [{**one, "parameters": {"binary_data_size": len(part)}} for (one, _), part in zip(sent, raw, strict=True)]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    reply = await ask(app, "POST", INFER, head + b"".join(raw), {HEADER.decode(): str(len(head))})
    if reply.status != 200:
        return _refused(case, reply)
    size = int(reply.headers.get(HEADER.decode(), len(reply.body)))
    rest, outputs = reply.body[size:], []
    for one in json.loads(reply.body[:size])["outputs"]:
        length = (one.get("parameters") or {}).get("binary_data_size")
        outputs.append(_of_json(one) if length is None else _of_raw(one, rest[:length]))
        rest = rest[length or 0 :]
    return _compared(case, outputs)


def _raw(datatype: str, array: np.ndarray) -> bytes:
    if datatype != "BYTES":
        return array.astype(NUMBERS[datatype]).tobytes()
    texts = [one if isinstance(one, bytes) else str(one).encode() for one in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _of_raw(one: dict[str, Any], raw: bytes) -> Any:
    if one["datatype"] != "BYTES":
        return np.frombuffer(raw, NUMBERS[one["datatype"]])
    found = []
    while raw:
        (length,) = struct.unpack("<I", raw[:4])
        found.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return found


def _of_json(one: dict[str, Any]) -> Any:
    return [math.nan if value is None else value for value in one["data"]]


def _refused(case: Case, reply: Reply) -> Result:
    why = reply.body.decode()
    return Result(class_of(case, f"{reply.status} {why}"), why[:300])


def _compared(case: Case, outputs: list[Any]) -> Result:
    for number, (wanted, got) in enumerate(zip(case.outputs, outputs, strict=True)):
        if difference := _difference(np.asarray(wanted), got, case):
            why = f"output {number}: {difference}"
            return Result(class_of(case, why), why[:300])
    return Result()


def _difference(wanted: np.ndarray, got: Any, case: Case) -> str:
    flat = wanted.ravel()
    if flat.dtype.kind in "OUS":
        texts = [one.decode() if isinstance(one, bytes) else str(one) for one in flat.tolist()]
        values = list(got)
        if values != texts and len(values) == 1:  # lists of any length are texts of JSON
            values = list(np.ravel(json.loads(values[0])))
        return "" if values == texts else f"{values[:5]}, not {texts[:5]}"
    numbers: Any = np.ravel(json.loads(got[0])) if len(got) == 1 and isinstance(got[0], str) else got
    array = np.asarray(numbers, dtype=np.float64 if flat.dtype.kind == "f" else None)
    if array.shape != flat.shape:
        return f"{array.size} values, not {flat.size}"
    far = ~np.isclose(array, flat.astype(array.dtype), rtol=case.rtol, atol=case.atol, equal_nan=True)
    return f"{array[far][:3].tolist()}, not {flat[far][:3].tolist()}" if far.any() else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
