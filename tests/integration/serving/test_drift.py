"""A real service counts for drift what numpy counts on the same rows, in every protocol, whatever clients send."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.profile import Profile
from fairlead.profile.counting import RowCount
from fairlead.serving.reference.build import write_profile
from support import folders
from support.profiles import samples
from support.service import Service

CODE = """
from typing import Literal
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    area: float | None = None
    rooms: int
    city: str
    kind: Literal["flat", "house"] | None = None

class Answer(BaseModel):
    label: Literal["cheap", "dear"]
    probabilities: list[float]

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        shares = [min(1.0, max(0.0, (row.area or 0) / 200)) for row in rows]
        return [Answer(label="dear" if one > 0.5 else "cheap", probabilities=[one, 1 - one]) for one in shares]
"""
Row = dict[str, Any]


def a_row(chance: random.Random) -> Row:
    """A row of the kind that the profile has."""
    return {
        "area": None if chance.random() < 0.1 else round(chance.uniform(20, 180), 1),
        "rooms": chance.randint(1, 6),
        "city": chance.choice(["Ulm", "Bonn", "Kassel"]),
        "kind": chance.choice(["flat", "house", None]),
    }


def odd_row(chance: random.Random) -> Row:
    """A row that no profile has: a huge number, another sign, a city that nobody has seen."""
    odd = {"area": chance.choice([1e308, -1e308, 0.0]), "rooms": chance.choice([2**62, -(2**62), 0])}
    return a_row(chance) | odd | {"city": f"made up {chance.random()}"}


@pytest.fixture(params=["thread", "process"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Service, Profile]]:
    """A service with a profile of 2,000 rows, and the profile."""
    chance = random.Random(0)
    folder = folders.make(tmp_path / "m", code=CODE, artifact=None, golden=(), isolation=request.param)
    profile = write_profile(folder, [a_row(chance) for _ in range(2000)])
    with Service(folder, log=tmp_path / "service.log") as service:
        yield service, profile


def counted(service: Service, profile: Profile) -> tuple[list[int], dict[str, float]]:
    """The rows in each bin of the row's features, and the totals."""
    found = samples(service.ask("GET", "/metrics/drift").body.decode())
    places = [(one.name, name) for one in profile.features for name in one.bins]
    totals = {name: value for (name, labels), value in found.items() if not labels}
    return [int(found["drift_values_total", place]) for place in places], totals


def in_v2(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows as tensors of V2: without `kind`, whose null is JSON text there."""
    types = {"area": "FP64", "rooms": "INT64", "city": "BYTES"}
    return {
        "inputs": [
            {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows]}
            for name, kind in types.items()
        ]
    }


def in_binary(rows: Sequence[Row]) -> tuple[bytes, dict[str, str]]:
    """The same, with every tensor in binary form. NaN is what a binary tensor has for a missing number."""
    area = b"".join(struct.pack("<d", row["area"]) for row in rows)
    rooms = b"".join(struct.pack("<q", row["rooms"]) for row in rows)
    city = b"".join(struct.pack("<I", len(row["city"])) + row["city"].encode() for row in rows)
    document = in_v2(rows)
    for tensor, data in zip(document["inputs"], (area, rooms, city), strict=True):
        del tensor["data"]
        tensor["parameters"] = {"binary_data_size": len(data)}
    head = json.dumps(document).encode()
    return head + area + rooms + city, {"inference-header-content-length": str(len(head))}


def test_counts_are_those_of_numpy_for_every_protocol(served: tuple[Service, Profile]) -> None:
    service, profile = served
    chance = random.Random(1)
    rows = [odd_row(chance) if chance.random() < 0.3 else a_row(chance) for _ in range(90)]
    without_kind = [row | {"kind": None} for row in rows]
    numbers = [row | {"area": row["area"] if row["area"] is not None else 50.0} for row in without_kind]
    sent: list[Row] = []
    requests = 0
    for row in rows[:10]:
        assert service.predict(row).status == 200
        sent.append(row)
        requests += 1
    asked = [
        ("/predict", json.dumps(rows).encode(), {}, rows),
        ("/v1/models/doubler:predict", json.dumps({"instances": rows}).encode(), {}, rows),
        ("/v2/models/doubler/infer", json.dumps(in_v2(without_kind)).encode(), {}, without_kind),
        ("/v2/models/doubler/infer", *in_binary(numbers), numbers),
    ]
    for path, body, headers, meant in asked:
        reply = service.ask("POST", path, body, headers)
        assert reply.status == 200, reply
        sent += meant
        requests += 1
    refused = [{"rooms": 1.5, "city": "Ulm"}, {"rooms": 1, "city": "Ulm", "kind": "castle"}]
    assert [service.predict(row).status for row in refused] == [422, 422]
    assert service.ask("POST", "/predict", b'{"rooms": 1, "city": "Ulm", "area": NaN}').status == 422
    values, totals = counted(service, profile)
    assert values == RowCount(profile.features)(sent).tolist()
    assert totals == {
        "drift_rows_total": len(sent),
        "drift_requests_total": requests,
        "drift_skipped_rows_total": 0,
        "drift_failed_rows_total": 0,
    }


def test_the_answers_are_counted_too(served: tuple[Service, Profile]) -> None:
    service, _ = served
    assert service.predict([{"rooms": 1, "city": "Ulm", "area": area} for area in (10, 20, 180)]).status == 200
    found = samples(service.ask("GET", "/metrics/drift").body.decode())
    assert found["drift_values_total", ("prediction", "cheap")] == 2
    assert found["drift_values_total", ("prediction", "dear")] == 1
    assert (
        sum(
            value for (name, labels), value in found.items() if labels[:1] == ("confidence",) and "values_total" in name
        )
        == 3
    )


def test_ten_thousand_unknown_categories_make_no_new_series(served: tuple[Service, Profile]) -> None:
    service, _ = served
    before = samples(service.ask("GET", "/metrics/drift").body.decode())
    for start in range(0, 10_000, 1000):
        rows = [{"rooms": 1, "city": f"city {number}"} for number in range(start, start + 1000)]
        assert service.predict(rows).status == 200
        service.ask("GET", "/metrics/drift")  # counts what is kept, so that nothing is skipped
    after = samples(service.ask("GET", "/metrics/drift").body.decode())
    assert after.keys() == before.keys()
    assert after["drift_values_total", ("city", "new")] == 10_000
