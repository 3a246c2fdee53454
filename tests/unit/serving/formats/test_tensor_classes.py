"""`predict_tensors`: a class of arrays whose types are the tensors of the manifest."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.settings import Settings
from support import folders
from support.grpc_client import connected, elements, infer, tensor
from support.small_models import ask, running

CODE = """
import fairlead

class Norms(fairlead.Model):
    def load(self, artifact):
        self.factor = float(artifact.read_text())

    def predict_tensors(self, tensors):
        points, bias = tensors["points"], tensors["bias"]
        self.seen = getattr(self, "seen", []) + [points.shape]
        points *= self.factor  # the arrays belong to the model
        return {"scaled": points, "sum": points.sum(axis=(1, 2)) + bias, "unused": None}
"""
INPUTS: list[dict[str, Any]] = [
    {"name": "points", "datatype": "FP32", "shape": [-1, 2, 3]},
    {"name": "bias", "datatype": "INT32"},
]
OUTPUTS: list[dict[str, Any]] = [
    {"name": "sum", "datatype": "FP64"},
    {"name": "scaled", "datatype": "FP32", "shape": [-1, 2, 3]},
]
OPEN = [{**INPUTS[0], "shape": [-1, -1, 3]}, INPUTS[1]]
OPEN_OUTPUTS = [OUTPUTS[0], {**OUTPUTS[1], "shape": [-1, -1, 3]}]
POINTS = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
ROWS = [{"points": points, "bias": bias} for points, bias in zip(POINTS.tolist(), [1, -1], strict=True)]
SCALED = (2 * POINTS).tolist()
ANSWERS = [{"sum": 31.0, "scaled": SCALED[0]}, {"sum": 101.0, "scaled": SCALED[1]}]


def made(folder: Path, code: str = CODE, **fields: Any) -> Path:
    stated = {"name": "norms", "entry": "model:Norms", "inputs": INPUTS, "outputs": OUTPUTS, "golden": ()} | fields
    return folders.make(folder, code=code, **stated)


def opened(folder: Path) -> Any:
    return load_folder(made(folder, inputs=OPEN, outputs=OPEN_OUTPUTS)).start()


def test_every_protocol_gives_the_same_answers(tmp_path: Path) -> None:
    served: Any = load_folder(made(tmp_path / "m"))
    bias = np.array([1, -1], dtype=np.int32)
    described = [{"name": "points", "shape": [2, 2, 3], "datatype": "FP32"}]
    described += [{"name": "bias", "shape": [2], "datatype": "INT32"}]
    data = [POINTS.ravel().tolist(), bias.tolist()]
    raw = [POINTS.tobytes(), bias.tobytes()]

    async def check() -> None:
        async with running(served, Settings(grpc_port=0)) as app, connected(app.grpc.port) as client:
            plain = await ask(app, "POST", "/predict", json.dumps(ROWS).encode())
            assert json.loads(plain.body) == ANSWERS
            v1 = await ask(app, "POST", "/v1/models/norms:predict", json.dumps({"instances": ROWS}).encode())
            assert json.loads(v1.body) == {"predictions": ANSWERS}
            inputs = [{**one, "data": values} for one, values in zip(described, data, strict=True)]
            v2 = await ask(app, "POST", "/v2/models/norms/infer", json.dumps({"inputs": inputs}).encode())
            outputs = {one["name"]: one["data"] for one in json.loads(v2.body)["outputs"]}
            expected = {"sum": [31.0, 101.0], "scaled": (2 * POINTS).ravel().tolist()}
            assert outputs == expected
            inputs = [
                {**one, "parameters": {"binary_data_size": len(part)}} for one, part in zip(described, raw, strict=True)
            ]
            head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
            headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
            binary = await ask(app, "POST", "/v2/models/norms/infer", head + b"".join(raw), headers)
            after = binary.body[int(binary.headers["inference-header-content-length"]) :]
            assert after == np.array([31.0, 101.0]).tobytes() + (2 * POINTS).tobytes()
            typed = infer("norms", tensor("points", "FP32", [2, 2, 3], data[0]), tensor("bias", "INT32", [2], data[1]))
            assert elements(await client.ask("ModelInfer", typed)) == expected
            bare = [tensor("points", "FP32", [2, 2, 3]), tensor("bias", "INT32", [2])]
            assert elements(await client.ask("ModelInfer", infer("norms", *bare, raw=raw))) == expected

    asyncio.run(check())


def test_rows_share_one_call_and_those_of_other_sizes_get_another(tmp_path: Path) -> None:
    model = opened(tmp_path / "m")
    read = model.row_type.model_validate
    rows = [read({"points": [[1.0] * 3] * size, "bias": 0}) for size in (2, 1, 2)]
    answers = model.predict(rows)
    assert [len(answer.scaled) for answer in answers] == [2, 1, 2]
    assert model.network._predict.__self__.seen == [(2, 2, 3), (1, 1, 3)]


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_batch_gives_the_answers_of_its_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    model = opened(tmp_path_factory.mktemp("folder") / "m")
    values = [{"points": [[float(size), 1, 2]] * size, "bias": size} for size in sizes]
    rows = [model.row_type.model_validate(value) for value in values]
    assert model.predict(rows) == [model.predict([row])[0] for row in rows]


def test_the_folder_passes_its_check_with_golden_rows(tmp_path: Path) -> None:
    golden = [{"input": row, "expected": answer} for row, answer in zip(ROWS, ANSWERS, strict=True)]
    found = check_folder(made(tmp_path / "m", golden=golden))
    assert [one for one in found if one.outcome in ("failed", "skipped")] == []


@pytest.mark.parametrize("part", ["inputs", "outputs"])
def test_a_class_of_arrays_needs_tensors_in_the_manifest(tmp_path: Path, part: str) -> None:
    with pytest.raises(errors.Invalid, match=f"{part}: Norms defines predict_tensors, and the manifest has no"):
        load_folder(made(tmp_path / "m", without=[part]))


WRONG = {
    "types": (
        CODE.replace("fairlead.Model)", "fairlead.Model[Row, Row])").replace(
            "class", "import pydantic\nclass Row(pydantic.BaseModel): x: int\nclass"
        ),
        {},
        "Norms defines predict_tensors, and has types of rows and answers",
    ),
    "another argument": (
        CODE.replace("(self, tensors)", "(self, tensors, more)"),
        {},
        r"Norms.predict_tensors cannot be called as predict_tensors\(tensors\)",
    ),
    "rows too": (
        CODE + "    def predict(self, rows): ...",
        {},
        "Norms defines predict_tensors and predict, and the service would call only predict_tensors",
    ),
    "null": (CODE, {"inputs": [INPUTS[0], {**INPUTS[1], "nullable": True}]}, "'bias' has null or a column"),
    "a name of pydantic": (CODE, {"inputs": [{**INPUTS[0], "name": "json"}]}, "'json' cannot be a field's name"),
    "too large": (CODE, {"inputs": [{**INPUTS[0], "shape": [-1, 4096, 4096]}]}, "16777216 values in each row"),
}


@pytest.mark.parametrize(("code", "fields", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_served_is_refused_before_it_is_loaded(
    tmp_path: Path, code: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.Invalid, match=message):
        load_folder(made(tmp_path / "m", code, **fields))


RETURNED = {
    "3": "predict_tensors returned a int, not a dictionary with an array for each output",
    "{'sum': bias}": "predict_tensors returned sum, and without scaled",
    "{'sum': bias[:1], 'scaled': points}": "its first dimension must be the rows",
    "{'sum': bias, 'scaled': points[:, :1]}": "'scaled' is declared with the shape",
    "{'sum': points, 'scaled': points}": "'sum' is declared with the shape",
    "{'sum': bias, 'scaled': points.astype('float64') + 1e300}": "does not have this value",
}


@pytest.mark.parametrize(("returned", "message"), RETURNED.items())
def test_an_answer_that_is_not_as_declared_fails_with_a_sentence(tmp_path: Path, returned: str, message: str) -> None:
    code = CODE.replace('{"scaled": points, "sum": points.sum(axis=(1, 2)) + bias, "unused": None}', returned)
    model = load_folder(made(tmp_path / "m", code)).start()
    with pytest.raises(errors.ModelFailed, match=message):
        model.predict([model.row_type.model_validate(row) for row in ROWS])
