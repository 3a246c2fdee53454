"""What counts as the same answer of servers with different protocols."""

from __future__ import annotations

import json

import pytest

from benchmarks.peer_answers import differs

OURS = json.dumps({"label": "setosa", "probabilities": {"setosa": 0.9, "virginica": 0.1}}).encode()
V2 = {
    "model_name": "iris",
    "outputs": [
        {"name": "label", "shape": [1, 1], "datatype": "BYTES", "data": ["setosa"]},
        {"name": "probabilities", "shape": [1, 2], "datatype": "FP64", "data": [0.9, 0.1]},
    ],
}


@pytest.mark.parametrize("theirs", [{"predictions": [json.loads(OURS)]}, V2])
def test_an_answer_in_another_protocol_is_the_same(theirs: object) -> None:
    assert differs(OURS, json.dumps(theirs).encode()) == ""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("0.9", "0.8", "[0.8, 0.1] instead of [0.9, 0.1]"),
        ("0.9, 0.1", "0.1, 0.9", "instead of"),
        (", 0.1", "", "instead of"),
        ("setosa", "virginica", "without 'setosa'"),
    ],
)
def test_another_number_order_count_or_label_is_told(old: str, new: str, problem: str) -> None:
    theirs = json.dumps(V2).replace(old, new).encode()
    assert theirs != json.dumps(V2).encode()
    assert problem in differs(OURS, theirs)
