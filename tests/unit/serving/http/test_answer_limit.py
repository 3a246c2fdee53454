"""The answers to one request are bounded in bytes, and an output is answered once."""

from __future__ import annotations

import json

import pytest

from fairlead.serving.settings import Settings
from unit.serving.http.flowers import FLOWERS, PREDICT, ROWS, V1, V2, detail, outputs, send, tensor

LIMIT = Settings(max_answer_bytes=1024)


def columns(count: int) -> list[dict[str, object]]:
    return [tensor("width", [count], "FP64", [1.5] * count), tensor("petals", [count], "INT64", [3] * count)]


@pytest.mark.parametrize(
    ("path", "body"),
    [(PREDICT, ROWS * 150), (V1, {"instances": ROWS * 150}), (V2, {"inputs": columns(300)})],
    ids=["a list", "instances", "tensors"],
)
def test_answers_above_the_limit_are_refused_in_words(path: str, body: object) -> None:
    reply = send(FLOWERS, path, body, settings=LIMIT)
    assert reply.status == 422
    assert detail(reply) == "the answers are larger than 1024 bytes; send the rows in several requests"


def test_a_refusal_of_answers_does_not_count_against_the_version() -> None:
    assert send(FLOWERS, PREDICT, ROWS * 150, settings=LIMIT).status != 500


@pytest.mark.parametrize("count", [1, 255, 256, 257, 600])
def test_answers_that_are_encoded_in_slices_are_whole(count: int) -> None:
    rows = [{"width": 1 + index / 1000, "petals": index} for index in range(count)]
    assert json.loads(send(FLOWERS, PREDICT, rows).body) == rows
    assert json.loads(send(FLOWERS, V1, {"instances": rows}).body) == {"predictions": rows}
    asked = [
        tensor(name, [count], kind, [row[name] for row in rows])
        for name, kind in (("width", "FP64"), ("petals", "INT64"))
    ]
    assert outputs(send(FLOWERS, V2, {"inputs": asked})) == {
        name: [row[name] for row in rows] for name in ("width", "petals")
    }


def test_an_output_that_is_asked_for_twice_is_refused() -> None:
    wanted = [{"name": "width"}, {"name": "petals"}, {"name": "width"}]
    reply = send(FLOWERS, V2, {"inputs": columns(1), "outputs": wanted})
    assert (reply.status, detail(reply)) == (422, "body.outputs.2.name: the output is asked for twice")


def test_a_refusal_repeats_at_most_a_part_of_a_long_key() -> None:
    reply = send(FLOWERS, PREDICT, {"k" * 100_000: 1, **ROWS[0]})
    assert reply.status == 422
    assert len(reply.body) < 10_000
    assert json.loads(reply.body)["errors"][0]["loc"] == ["body", "k" * 253 + "..."]
