"""What a manifest declares is what V2 advertises, what the estimator gets and what is answered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from fairlead.contracts.manifest import Datatype
from fairlead.serving.formats import datatypes, declared
from fairlead.serving.formats.golden import GoldenRow
from support.small_models import Served, manifest
from unit.serving.formats.test_declared import Given
from unit.serving.http.flowers import PREDICT, V2, detail, send, tensor

KINDS = get_args(Datatype)


class Echo:
    """Returns what it gets, and keeps it."""

    def __init__(self) -> None:
        self.got: Any = None

    def predict(self, batch: Any) -> Any:
        self.got = batch
        return [value[0] if isinstance(batch, np.ndarray) else value for value in batch]


def echo(datatype: str) -> tuple[Served, Echo]:
    estimator = Echo()
    stated = manifest(
        name="flowers",
        format="sklearn",
        entry=None,
        artifact={"path": "a", "sha256": "0" * 64},
        inputs=[{"name": "x", "datatype": datatype}],
        outputs=[{"name": "y", "datatype": datatype}],
    )
    model_class = declared.model_class(stated, Given(estimator))

    def start() -> Any:
        model = model_class()
        model.load(Path())
        return model

    return Served(start, model_class.row_type, model_class.answer_type, (), stated), estimator


@pytest.mark.parametrize("datatype", KINDS)
def test_the_metadata_have_the_declared_datatypes(datatype: str) -> None:
    metadata = json.loads(send(echo(datatype)[0], "/v2/models/flowers", b"", method="GET").body)
    assert [one["datatype"] for one in (*metadata["inputs"], *metadata["outputs"])] == [datatype] * 2


@pytest.mark.parametrize("sent", ["FP32", "FP64"])
def test_an_fp32_model_takes_fp64_and_answers_fp32(sent: str) -> None:
    served, estimator = echo("FP32")
    reply = send(served, V2, {"inputs": [tensor("x", [2], sent, [0.1, 2])]})
    (output,) = json.loads(reply.body)["outputs"]
    assert (output["datatype"], output["data"]) == ("FP32", [float(np.float32(0.1)), 2.0])
    assert estimator.got.dtype == np.float32


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("INT64", 2**53 + 1), ("UINT64", 2**64 - 1), ("INT32", -(2**31)), ("UINT8", 255), ("FP64", 0.1), ("BYTES", "é")],
)
def test_a_value_comes_back_as_it_was_sent(datatype: str, value: Any) -> None:
    served, _ = echo(datatype)
    assert json.loads(send(served, PREDICT, {"x": value}).body) == {"y": value}
    (output,) = json.loads(send(served, V2, {"inputs": [tensor("x", [1], datatype, [value])]}).body)["outputs"]
    assert (output["datatype"], output["data"]) == (datatype, [value])


@pytest.mark.parametrize(
    ("datatype", "value"), [("INT32", 2**31), ("UINT64", 2**64), ("UINT8", -1), ("FP32", 1e39), ("INT64", 1.5)]
)
def test_a_value_beyond_the_declared_datatype_is_refused_in_every_protocol(datatype: str, value: Any) -> None:
    served, _ = echo(datatype)
    sent = "FP64" if isinstance(value, float) else datatype
    assert send(served, PREDICT, {"x": value}).status == 422
    assert send(served, V2, {"inputs": [tensor("x", [1], sent, [value])]}).status == 422


def test_the_openapi_document_has_the_format_and_the_range_of_a_datatype() -> None:
    document = json.loads(send(echo("INT32")[0], "/openapi.json", b"", method="GET").body)
    for schema, field in (("Row", "x"), ("Answer", "y")):
        stated = document["components"]["schemas"][schema]["properties"][field]
        assert (stated["format"], stated["minimum"], stated["maximum"]) == ("int32", *datatypes.INTEGERS["INT32"])


def test_a_golden_row_finds_a_number_that_would_be_cut_and_says_what_to_declare() -> None:
    served, estimator = echo("INT64")
    estimator.predict = lambda batch: [1.99] * len(batch)  # type: ignore[method-assign]
    with_golden = replace(served, golden=(GoldenRow({"x": 1}, {"y": 1}),))
    reply = send(with_golden, PREDICT, {"x": 1})
    assert reply.status == 503
    complaint = "the estimator returned 1.99 for output 'y', and INT64, its declared datatype, does not have this value"
    assert f"golden row 1 made the model fail: {complaint}; declare" in detail(reply)
