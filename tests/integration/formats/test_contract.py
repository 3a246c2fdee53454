"""Every format keeps one contract: what it serves is what its library answers, in every protocol.

A row that is sent alone gets the library's own answer to the last bit. In a batch, a float32 may be rounded otherwise.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.golden import compare
from fairlead.serving.check.checks import check_folder
from fairlead.serving.check.findings import NOT_PROVED
from fairlead.serving.formats.writer import write_folder
from support import environments
from support.formats.cases import Case
from support.service import Service

OF = {
    "onnx": "graphs",
    "torch": "modules",
    "xgboost": "boosters",
    "lightgbm": "boosters",
    "skops": "estimators",
    "keras": "layers",
}
"""The module of tests/support/formats with the cases of each library."""
NAMES = (
    *("onnx-dense", "onnx-image", "onnx-sequence", "onnx-columns", "onnx-half", "onnx-one-image", "onnx-whole"),
    *("xgboost-columns", "xgboost-classes", "lightgbm-columns"),
    *("skops-line", "skops-forest"),
    *("torch-dense", "torch-image", "torch-sequence", "torch-two", "torch-safetensors", "torch-export", "torch-script"),
    *("torch-half", "torch-export-half"),
    *("keras-dense", "keras-image", "keras-sequence", "keras-two", "keras-h5"),
)

LOADING_S = 240.0
"""How long a service may take to be ready: importing PyTorch reads 5 GB."""


class Served:
    """A running service of a case."""

    def __init__(self, case: Case, folder: Path, service: Service) -> None:
        self.case, self.folder, self.service = case, folder, service


def made(name: str, folder: Path) -> Case:
    cases = importlib.import_module(f"support.formats.{OF[name.partition('-')[0]]}")  # its libraries are here only now
    found: Case = cases.case(name, folder)
    return found


@pytest.fixture(scope="module", params=NAMES)
def served(
    request: pytest.FixtureRequest, libraries: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    if (library := request.param.partition("-")[0]) in ("torch", "keras"):
        request.getfixturevalue(library)
    scratch = tmp_path_factory.mktemp("formats")
    case = made(request.param, scratch)
    folder = scratch / "m"
    manifest = {"name": "m", "version": "1.0.0", **case.manifest}
    write_folder(folder, manifest, case.value, code=case.code, golden_inputs=case.rows)
    service = Service(folder, log=scratch / "service.log", env=environments.variables(*libraries))
    service.start(within=LOADING_S)
    try:
        yield Served(case, folder, service)
    finally:
        service.process.stop()


def test_a_row_alone_gets_the_library_s_answer_to_the_last_bit(served: Served) -> None:
    for row, own in zip(served.case.rows, served.case.alone(), strict=True):
        reply = served.service.predict(row)
        assert (reply.status, reply.json()) == (200, own)


def test_v1_and_a_list_of_rows_get_the_library_s_answers_to_the_batch(served: Served) -> None:
    own = served.case.own(served.case.arrays)
    listed = served.service.predict(served.case.rows).json()
    v1 = served.service.ask("POST", "/v1/models/m:predict", json.dumps({"instances": served.case.rows}).encode()).json()
    for found in (listed, v1["predictions"]):
        assert [compare(one, other, 1e-5, 1e-5) for one, other in zip(own, found, strict=True)] == [None] * len(own)


def test_v2_gets_the_library_s_answers_as_tensors(served: Served) -> None:
    described = served.service.ask("GET", "/v2/models/m").json()
    for row, own in zip(served.case.rows, served.case.alone(), strict=True):
        inputs = [
            {"name": one["name"], "datatype": one["datatype"], "shape": [1, *one["shape"][1:]],
             "data": as_data(row[one["name"]], one)}
            for one in described["inputs"]
        ]  # fmt: skip
        reply = served.service.ask("POST", "/v2/models/m/infer", json.dumps({"inputs": inputs}).encode())
        assert reply.status == 200, reply.body
        for output in reply.json()["outputs"]:
            assert output["data"] == flat(own[output["name"]])


def as_data(value: Any, described: dict[str, Any]) -> list[Any]:
    """A list of any length has no shape, so it is sent as the text of its JSON."""
    if described["datatype"] == "BYTES" and not isinstance(value, str):
        return [json.dumps(value)]
    return flat(value)


def flat(value: Any) -> list[Any]:
    return [one for part in value for one in flat(part)] if isinstance(value, list) else [value]


def test_batches_are_proven_and_every_check_passes(served: Served) -> None:
    assert served.service.metric("fairlead_model_batching_enabled") == 1.0
    findings = check_folder(served.folder)
    assert [one for one in findings if one.outcome == "failed" or NOT_PROVED in one.message] == []


@pytest.mark.parametrize("wrong", ["missing", "longer", "text", "unknown"])
def test_a_row_that_does_not_fit_is_refused_with_its_field(served: Served, wrong: str) -> None:
    row = dict(served.case.rows[0])
    name = next(iter(row))
    match wrong:
        case "missing":
            del row[name]
        case "longer":
            row[name] = [row[name], row[name]]
        case "text":
            row[name] = {"a": 1}
        case "unknown":
            name = "unknown_field"
            row[name] = 1
    reply = served.service.predict(row)
    assert reply.status == 422
    assert name in reply.body.decode()
