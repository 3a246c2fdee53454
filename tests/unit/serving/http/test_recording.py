"""What is recorded of requests in every form, what is hidden of them, and that nothing else becomes of them."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import time
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

import fairlead
from fairlead import errors
from fairlead.contracts import recording
from fairlead.contracts.recording import Recorded
from fairlead.serving.app import App, build_app
from fairlead.serving.observe.recording import Recorder
from fairlead.serving.settings import Settings
from support.grpc_client import connected, infer, tensor
from support.image_files import file, halves
from support.image_models import served as image_model
from support.small_models import Adder, Point, Served, Sum, ask, ask_fast_path, manifest, running

ID = "5f0c8bce-8e1c-4b5f-9d3e-2a9a1c1c7f11"
PREDICT, V1, V2 = "/predict", "/v1/models/adder:predict", "/v2/models/adder/infer"


class Person(BaseModel):
    """Somebody with a name that nobody else should read."""

    name: str
    street: str | None = None
    age: int = Field(alias="ageInYears")
    plan: Literal["a", "b"] = "a"


class Greeting(BaseModel):
    """It repeats the name."""

    name: str
    score: float


class Greeter(fairlead.Model[Person, Greeting]):
    """Greets."""

    def predict(self, rows: list[Person]) -> list[Greeting]:
        return [Greeting(name=row.name, score=row.age / 2) for row in rows]


PEOPLE = Served(Greeter, Person, Greeting, (), manifest(name="greeter"))
PERSON = {"name": "Ada", "street": "Elm 1", "ageInYears": 987654321}


def recorded(
    folder: Path, work: Callable[[App], Awaitable[Any]], served: Served | None = None, **changes: Any
) -> list[Recorded]:
    """What is in the folder after `work` with a service that has ended then."""

    async def run() -> None:
        settings = Settings(**{"record_share": 1.0, "record_dir": folder, **changes})
        async with running(served, settings) as app:
            await work(app)

    asyncio.run(run())
    return recording.read(folder).requests if folder.exists() else []


def post(path: str, body: Any, headers: dict[str, str] | None = None) -> Callable[[App], Awaitable[Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda app: ask(app, "POST", path, content, {"x-request-id": ID, **(headers or {})})


def v2(x: float) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}]}


@pytest.mark.parametrize(
    ("path", "body", "protocol"),
    [
        (PREDICT, {"x": 2.0}, "predict"),
        (PREDICT, [{"x": 2.0}], "predict"),
        (V1, {"instances": [{"x": 2.0}]}, "v1"),
        (V2, v2(2.0), "v2"),
    ],
)
def test_a_request_is_recorded_as_its_validated_rows_and_answers_in_every_protocol(
    tmp_path: Path, path: str, body: Any, protocol: str
) -> None:
    [one] = recorded(tmp_path, post(path, body))
    assert (one.id, one.model, one.version, one.protocol, one.status) == (ID, "adder", "1.2.0", protocol, 200)
    assert one.rows == [{"x": 2.0, "y": 0.0, "n": 1, "kind": "a"}]
    assert one.answers == [{"total": 3.0, "kind": "a"}]
    assert abs(one.time.timestamp() - time.time()) < 60
    assert 0 < one.ms < 60_000


def test_the_fast_path_records_the_same_as_the_other_one(tmp_path: Path) -> None:
    headers = {"x-request-id": ID, "traceparent": f"00-{'a1' * 16}-{'b2' * 8}-00", "x-route-revision": "adder.3"}

    async def fast(app: App) -> None:
        await ask_fast_path(app, PREDICT, b'{"x": 2}', headers)

    [one] = recorded(tmp_path / "fast", fast)
    [other] = recorded(tmp_path / "slow", post(PREDICT, {"x": 2}, headers))
    same = {"time", "ms"}
    assert one.model_dump(exclude=same) == other.model_dump(exclude=same)
    assert (one.trace, one.revision) == ("a1" * 16, "adder.3")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"x-route-revision": "iris.12"}, "iris.12"),
        ({}, ""),  # no gateway
        ({"x-route-revision": "<b>iris</b>"}, ""),  # one that asks the service itself may send anything
        ({"x-route-revision": f"iris.{'9' * 60}"}, ""),
    ],
)
def test_the_revision_that_the_gateway_followed_is_recorded(tmp_path: Path, given: dict[str, str], kept: str) -> None:
    [one] = recorded(tmp_path, post(PREDICT, {"x": 2}, given))
    assert one.revision == kept


def test_a_tensor_in_binary_form_is_recorded_as_its_numbers(tmp_path: Path) -> None:
    head = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}
    text = json.dumps(head).encode()
    body = text + b"\0\0\0\0\0\0\0\x40"
    headers = {"inference-header-content-length": str(len(text)), "content-type": "application/octet-stream"}
    [one] = recorded(tmp_path, post(V2, body, headers))
    assert one.rows == [{"x": 2.0, "y": 0.0, "n": 1, "kind": "a"}]


def test_a_call_to_the_port_of_grpc_is_recorded(tmp_path: Path) -> None:
    async def call(app: App) -> None:
        async with connected(app.grpc.port) as client:
            await client.ask("ModelInfer", infer("adder", tensor("x", "FP64", [1], [2.0])))

    [one] = recorded(tmp_path, call, grpc_port=0)
    assert (one.protocol, one.status, one.answers) == ("grpc", 200, [{"total": 3.0, "kind": "a"}])


def test_of_an_image_only_a_digest_is_recorded(tmp_path: Path) -> None:
    picture = file(halves(64, 48), "JPEG")
    [one] = recorded(tmp_path, post(PREDICT, picture, {"content-type": "image/jpeg"}), image_model())
    [(name, digest)] = one.rows[0].items()
    assert one.hidden == {name: "digest"}
    assert len(digest) == 64
    assert all(len(line) < 2000 for found in recording.files(tmp_path) for line in found.read_bytes().splitlines())


def test_rows_that_the_model_fails_on_are_recorded_without_an_answer_and_others_not(tmp_path: Path) -> None:
    [one] = recorded(tmp_path / "failed", post(PREDICT, {"x": 13}))
    assert (one.status, one.rows[0]["x"], one.answers) == (500, 13.0, None)
    assert recorded(tmp_path / "invalid", post(PREDICT, {"x": "no number"})) == []
    assert recorded(tmp_path / "page", lambda app: ask(app, "GET", "/metrics")) == []


def test_redacted_and_hashed_fields_are_in_no_file_also_where_an_answer_repeats_them(tmp_path: Path) -> None:
    [one] = recorded(tmp_path, post(PREDICT, PERSON), PEOPLE, record_redact="age, street", record_hash="name")
    assert one.hidden == {"name": "hashed", "street": "redacted", "ageInYears": "redacted"}
    assert one.rows == [{"name": one.answers[0]["name"], "plan": "a"}] if one.answers else False
    written = b"".join(found.read_bytes() for found in recording.files(tmp_path))
    assert b"Ada" not in written
    assert b"Elm" not in written
    assert b"987654321" not in written.partition(b'"answers"')[2]


def test_a_row_is_recorded_under_the_names_that_clients_send(tmp_path: Path) -> None:
    [one] = recorded(tmp_path, post(PREDICT, PERSON), PEOPLE)
    assert one.rows == [PERSON | {"plan": "a"}]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"record_redact": "nmae"}, "no field 'nmae'"),
        ({"record_hash": "age"}, "'age' is no free text"),
        ({"record_hash": "plan"}, "'plan' is no free text"),
    ],
)
def test_a_field_that_cannot_be_hidden_stops_the_service(tmp_path: Path, changes: Any, says: str) -> None:
    with pytest.raises(errors.Invalid, match=says) as raised:
        build_app(PEOPLE, Settings(record_share=1.0, record_dir=tmp_path, **changes))
    assert raised.value.hint


def test_the_share_is_drawn_by_the_request_id_so_two_services_choose_the_same(tmp_path: Path) -> None:
    async def many(app: App) -> None:
        for number in range(400):
            await ask(app, "POST", PREDICT, b'{"x": 1}', {"x-request-id": f"request-{number}"})

    chosen = [
        {one.id for one in recorded(tmp_path / version, many, Served(manifest=manifest(version=version)), **share)}
        for version, share in (("1.2.0", {"record_share": 0.25}), ("1.3.0", {"record_share": 0.25}))
    ]
    assert chosen[0] == chosen[1]
    assert 60 < len(chosen[0]) < 140


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert recorded(tmp_path / "off", post(PREDICT, {"x": 1}), record_share=0.0) == []
    assert not (tmp_path / "off").exists()


def counted(app: App) -> dict[str, float]:
    lines = [line for line in app.metrics.text().decode().splitlines() if "recorded_requests_total{" in line]
    return {line.partition('outcome="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_disk_that_refuses_drops_and_counts_and_every_request_is_answered(tmp_path: Path) -> None:
    async def refused(app: App) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            for _ in range(3):
                assert (await ask(app, "POST", PREDICT, b'{"x": 1}')).status == 200
            await until(lambda: counted(app)["disk"] == 3)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert (await ask(app, "POST", PREDICT, b'{"x": 2}')).status == 200
        await until(lambda: counted(app)["written"] == 1)

    assert [one.rows[0]["x"] for one in recorded(tmp_path, refused)] == [2.0]


def test_a_request_that_is_larger_than_a_file_is_counted_and_not_written(tmp_path: Path) -> None:
    async def large(app: App) -> None:
        rows = [{"x": 1.0}] * 400
        assert (await ask(app, "POST", PREDICT, json.dumps(rows).encode())).status == 200
        await until(lambda: counted(app)["too_large"] == 1)

    assert recorded(tmp_path, large, record_bytes=65536) == []


@pytest.mark.parametrize("is_fast", [False, True])
@pytest.mark.parametrize("waits", [True, False])
def test_the_rows_of_a_request_that_has_ended_need_no_collection_to_be_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_fast: bool, waits: bool
) -> None:
    rows: list[weakref.ref[Point]] = []

    class Watched(Adder):
        """Remembers its rows, and holds none."""

        def predict(self, given: list[Point]) -> list[Sum]:
            rows.extend(weakref.ref(row) for row in given if row.x == 7)  # others are those of the start
            return super().predict(given)

    async def watched(app: App) -> None:
        for number in range(3):
            send = partial(ask_fast_path, app) if is_fast else partial(ask, app, "POST")
            await send(PREDICT, b'{"x": 7}', {"x-request-id": f"request-{number}"})
        if waits:
            await until(lambda: counted(app)["written"] == 3)
        await until(lambda: not any(row() for row in rows))

    if not waits:
        monkeypatch.setattr(Recorder, "add", lambda *_: None)  # as it does with a full queue
    gc.collect()
    gc.disable()
    try:
        recorded(tmp_path, watched, Served(Watched))
    finally:
        gc.enable()
    assert len(rows) == 3
