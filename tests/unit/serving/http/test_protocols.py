"""The service as an ASGI application, with a real model on a real worker thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.gateway import LEAVING_HEADER, SERVICE_HEADER
from fairlead.serving.app import build_app
from fairlead.serving.http.exchange import Envelope
from fairlead.serving.observe.problem_counts import ProblemCounts
from fairlead.serving.settings import Settings
from support.small_models import GOLDEN, Adder, Point, Reply, Served, Sum, ask, ask_fast_path, manifest, running

ROW = {"x": 1.0, "y": 2.0, "n": 3, "kind": "b"}
TENSORS = [
    {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2]},
    {"name": "n", "shape": [2, 1], "datatype": "INT64", "data": [[1], [2]]},
    {"name": "kind", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
]


def fetch(method: str, path: str, document: Any = None, headers: dict[str, str] | None = None) -> Reply:
    async def once() -> Reply:
        async with running() as app:
            body = b"" if document is None else json.dumps(document).encode()
            return await ask(app, method, path, body, headers)

    return asyncio.run(once())


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_one_object_gets_one_answer_and_a_list_gets_a_list(path: str) -> None:
    assert json.loads(fetch("POST", path, ROW).body) == {"total": 6.0, "kind": "b"}
    assert json.loads(fetch("POST", path, [ROW, {"x": 0}]).body) == [
        {"total": 6.0, "kind": "b"},
        {"total": 1.0, "kind": "a"},
    ]


def test_kserve_v1_takes_instances_and_returns_predictions() -> None:
    reply = fetch("POST", "/v1/models/adder:predict", {"instances": [ROW]})
    assert json.loads(reply.body) == {"predictions": [{"total": 6.0, "kind": "b"}]}
    assert json.loads(fetch("GET", "/v1/models/adder").body) == {"name": "adder", "ready": True}


@pytest.mark.parametrize("version", ["", "/versions/1.2.0"])
def test_open_inference_takes_and_returns_one_tensor_per_field(version: str) -> None:
    reply = fetch("POST", f"/v2/models/adder{version}/infer", {"id": "q", "inputs": TENSORS})
    assert json.loads(reply.body) == {
        "model_name": "adder",
        "model_version": "1.2.0",
        "id": "q",
        "outputs": [
            {"name": "total", "shape": [2], "datatype": "FP64", "data": [2.0, 4.0]},
            {"name": "kind", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
        ],
    }


def test_open_inference_returns_only_the_requested_outputs() -> None:
    reply = fetch("POST", "/v2/models/adder/infer", {"inputs": TENSORS, "outputs": [{"name": "kind"}]})
    assert [output["name"] for output in json.loads(reply.body)["outputs"]] == ["kind"]


def test_open_inference_describes_server_and_model() -> None:
    assert json.loads(fetch("GET", "/v2").body)["name"] == "fairlead"
    metadata = json.loads(fetch("GET", "/v2/models/adder/versions/1.2.0").body)
    assert metadata == json.loads(fetch("GET", "/v2/models/adder").body)
    assert metadata["versions"] == ["1.2.0"]
    assert [(i["name"], i["datatype"], i["shape"]) for i in metadata["inputs"]] == [
        ("x", "FP64", [-1]),
        ("y", "FP64", [-1]),
        ("n", "INT64", [-1]),
        ("kind", "BYTES", [-1]),
    ]


@pytest.mark.parametrize(
    "path", ["/livez", "/startupz", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/adder/ready"]
)
def test_a_loaded_service_is_healthy_at_every_health_path(path: str) -> None:
    assert fetch("GET", path).status == 200


@pytest.mark.parametrize(
    ("service", "name", "status"),
    [
        ("iris-1f0c2e4d5a.ml", "iris-1f0c2e4d5a.ml.svc.cluster.local", 200),
        ("iris-1f0c2e4d5a.ml", "iris-1f0c2e4d5a.ml", 200),
        ("iris-1f0c2e4d5a.ml", "iris-1f0c2e4d5a.ml2.svc.cluster.local", 421),
        ("iris-1f0c2e4d5a.ml", "iris-0000000000.ml.svc.cluster.local", 421),
        ("iris-1f0c2e4d5a.ml", "", 200),  # a node agent does not know the name
        (
            None,
            "iris-1f0c2e4d5a.ml.svc.cluster.local",
            200,
        ),  # a service that was started by hand does not know its name
    ],
)
def test_readyz_returns_421_for_the_name_of_another_service(service: str | None, name: str, status: int) -> None:
    async def check() -> None:
        async with running(settings=Settings(service=service)) as app:
            reply = await ask(app, "GET", "/readyz", headers={SERVICE_HEADER: name} if name else {})
            assert reply.status == status
            if status == 421:
                assert json.loads(reply.body)["detail"] == f"this is {service}, not {name}"

    run(check())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_version_is_not_found(method: str) -> None:
    reply = fetch(method, "/v2/models/adder/versions/9.9.9/infer", {})
    assert reply.status == 404
    assert "9.9.9" in json.loads(reply.body)["detail"]


@pytest.mark.parametrize(
    ("change", "place", "kind"),
    [
        ({"name": "z"}, ["body", "inputs", 0, "name"], "name"),
        ({"name": "n"}, ["body", "inputs", 1, "name"], "name"),
        ({"datatype": "BOOL"}, ["body", "inputs", 0, "datatype"], "datatype"),
        ({"datatype": "BYTES"}, ["body", "inputs", 0, "datatype"], "datatype"),
        ({"shape": [2, 2]}, ["body", "inputs", 0, "shape"], "shape"),
        ({"shape": [0], "data": []}, ["body", "inputs", 0, "shape", 0], "row_count"),
        ({"shape": [-1]}, ["body", "inputs", 0, "shape", 0], "row_count"),
        ({"data": [1.0]}, ["body", "inputs", 0, "data"], "element_count"),
        ({"data": [1.0, 2.0, 3.0]}, ["body", "inputs", 0, "data"], "element_count"),
        ({"data": [1.0, "2"]}, ["body", "inputs", 0, "data", 1], "float_type"),
        ({"data": [1.0, True]}, ["body", "inputs", 0, "data", 1], "float_type"),
        ({"data": [1.0, None]}, ["body", "inputs", 0, "data", 1], "float_type"),
        ({"data": [1.0, 1001.0]}, ["body", "inputs", 0, "data", 1], "less_than_equal"),
        ({"data": [[1.0], [2.0]]}, ["body", "inputs", 0, "data"], "shape"),
        ({"extra": 1}, ["body", "inputs", 0, "extra"], "extra_forbidden"),
    ],
)
def test_open_inference_reports_a_wrong_tensor_with_its_location(
    change: dict[str, Any], place: list[str | int], kind: str
) -> None:
    reply = fetch("POST", "/v2/models/adder/infer", {"inputs": [TENSORS[0] | change, *TENSORS[1:]]})
    assert reply.status == 422
    assert (place, kind) in [(error["loc"], error["type"]) for error in json.loads(reply.body)["errors"]]


def test_an_invalid_row_of_a_list_is_reported_with_its_index() -> None:
    problem = json.loads(fetch("POST", "/predict", [ROW, ROW | {"x": "1.0"}]).body)
    assert problem["errors"] == [
        {"loc": ["body", 1, "x"], "msg": "Input should be a valid number", "type": "float_type"}
    ]
    assert problem["status"] == 422


def test_every_answer_names_model_version_and_request() -> None:
    for method, path in (("POST", "/predict"), ("GET", "/livez"), ("GET", "/nowhere"), ("PUT", "/predict")):
        reply = fetch(method, path, ROW)
        assert (reply.headers["x-model-name"], reply.headers["x-model-version"]) == ("adder", "1.2.0")
        assert len(reply.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("given_id", "kept"), [("abc-1", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False)]
)
def test_a_valid_request_id_is_kept_and_any_other_is_replaced(given_id: str, kept: bool) -> None:
    reply = fetch("GET", "/nowhere", headers={"x-request-id": given_id})
    assert (reply.headers["x-request-id"] == given_id) is kept
    assert json.loads(reply.body)["request_id"] == reply.headers["x-request-id"]


def test_a_failing_model_is_a_500_that_does_not_reveal_internals() -> None:
    reply = fetch("POST", "/predict", {"x": 13})
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert b"ValueError" not in reply.body


def test_a_number_that_json_cannot_represent_is_a_500() -> None:
    for path, document in (
        ("/predict", {"x": 14}),
        ("/predict", [{"x": 14}]),
        ("/v1/models/adder:predict", {"instances": [{"x": 14}]}),
        (
            "/v2/models/adder/infer",
            {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [14]}]},
        ),
    ):
        assert fetch("POST", path, document).status == 500


def test_a_model_that_returns_too_few_answers_is_a_500() -> None:
    class Lazy(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            return super().predict(rows)[:3]  # fewer, and the warm-up would find out

    async def check() -> None:
        async with running(Served(model=Lazy, golden=())) as app:
            assert (await ask(app, "POST", "/predict", b'[{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}]')).status == 500
            assert (await ask(app, "POST", "/predict", b'{"x": 1}')).status == 200

    run(check())


def test_an_expired_deadline_is_a_504_and_the_model_is_not_called() -> None:
    reply = fetch("POST", "/predict", ROW, {"x-deadline-ms": "0"})
    assert reply.status == 504
    assert fetch("POST", "/predict", ROW, {"x-deadline-ms": "5000"}).status == 200
    assert fetch("POST", "/predict", ROW, {"x-deadline-ms": "soon"}).status == 422
    assert fetch("POST", "/predict", ROW, {"x-deadline-ms": "-1"}).status == 422


def test_a_full_queue_is_a_429_with_retry_after() -> None:
    release = threading.Event()

    class Slow(Adder):
        def predict(self, rows: list[Point]) -> list[Sum]:
            release.wait(10)
            return super().predict(rows)

    async def check() -> None:
        limits = Settings(queue_rows=1, max_request_rows=1)
        # Not idempotent: otherwise the warm-up asks rows that it makes up, and each of them would wait.
        async with running(Served(model=Slow, golden=(), manifest=manifest(idempotent=False)), limits) as app:
            first = asyncio.create_task(ask(app, "POST", "/predict", b'{"x": 1}'))
            while "fairlead_model_queue_seconds_count{" not in app.metrics.text().decode() or not _started(app):
                await asyncio.sleep(0.001)
            second = asyncio.create_task(ask(app, "POST", "/predict", b'{"x": 2}'))
            await asyncio.sleep(0)
            rejected = await ask(app, "POST", "/predict", b'{"x": 3}')
            release.set()
            assert rejected.status == 429
            assert int(rejected.headers["retry-after"]) >= 1
            assert [(await first).status, (await second).status] == [200, 200]

    def _started(app: Any) -> bool:
        return 'fairlead_model_queue_seconds_count{model="adder",version="1.2.0"} 1.0' in app.metrics.text().decode()

    run(check())


def test_a_draining_service_answers_and_sends_connection_close() -> None:
    async def check() -> None:
        async with running() as app:
            app.state.drain()
            ready = await ask(app, "GET", "/readyz")
            answer = await ask(app, "POST", "/predict", b'{"x": 1}')
            assert (ready.status, answer.status) == (503, 200)
            assert ready.headers["connection"] == answer.headers["connection"] == "close"

    run(check())


def test_a_draining_service_tells_gateways_that_it_leaves_and_one_that_loads_does_not() -> None:
    async def check() -> None:
        async with running() as app:
            app.state.enter("loading", "the model is loaded again")
            loading = await ask(app, "GET", "/readyz")
            app.state.drain()
            draining = await ask(app, "GET", "/readyz")
            assert (loading.status, draining.status) == (503, 503)
            assert (LEAVING_HEADER in loading.headers, draining.headers[LEAVING_HEADER]) == (False, "true")

    run(check())


def test_middleware_turns_the_fast_path_off() -> None:
    async def check() -> None:
        app = build_app(Served())

        @app.api.middleware("http")
        async def stamp(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-stamp"] = "1"
            return response

        async with app.lifespan():
            while app.state.phase != "ready":
                await asyncio.sleep(0.001)
            reply = await ask(app, "POST", "/predict", b'{"x": 1}')
            assert (reply.status, reply.headers["x-stamp"]) == (200, "1")

    run(check())


PATHS = ("/predict", "/predict/", "/v1/models/adder:predict", "/v2/models/adder/infer")
BODIES = st.one_of(
    st.sampled_from([b'{"x": 1, "x": 1}', b'[{"x": 1}, {"x": 1, "x": 2}]', b'{"instances": [[1, 2, 3]]}', b"[[1]]"]),
    st.binary(max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["x", "y", "n", "kind", "instances", "inputs"]), inner, max_size=4)
        ),
        max_leaves=8,
    ).map(lambda document: json.dumps(document).encode()),
    st.lists(st.fixed_dictionaries({"x": st.floats(-2000, 2000)}), max_size=4).map(
        lambda rows: json.dumps(rows).encode()
    ),
)


def test_fast_path_dispatcher_and_fastapi_give_the_same_bytes() -> None:
    async def check() -> None:
        async with running() as app:
            dispatched = app.envelope
            through_fastapi = Envelope(
                app.api,
                model="adder",
                version="1.2.0",
                protocols={},
                state=app.state,
                meter=app.metrics,
                problem_counts=ProblemCounts(),
            )

            @settings(max_examples=150)
            @given(
                path=st.sampled_from(PATHS),
                body=BODIES,
                kind=st.sampled_from(["application/json"] * 5 + ["", "text/plain", "application/json; charset=l1"]),
                deadline=st.sampled_from(["", "0", "60000", "x"]),
                chunk=st.sampled_from([0, 3]),
            )
            def same(path: str, body: bytes, kind: str, deadline: str, chunk: int) -> None:
                headers = {"content-type": kind, "x-request-id": "one"} | (
                    {"x-deadline-ms": deadline} if deadline else {}
                )
                replies = []
                for target in (dispatched, through_fastapi):
                    future = asyncio.run_coroutine_threadsafe(
                        ask(target, "POST", path, body, headers, chunk=chunk), loop
                    )
                    replies.append(future.result(10))
                if not deadline:  # the fast path does not take requests with a deadline
                    shortly = asyncio.run_coroutine_threadsafe(ask_fast_path(app, path, body, headers), loop)
                    replies.append(shortly.result(10))
                assert replies[0] == replies[1] == replies[-1]
                assert replies[0].status < 500 or replies[0].status == 504 or b"model-failed" in replies[0].body

            loop = asyncio.get_running_loop()
            await asyncio.to_thread(same)

    run(check())


def test_golden_rows_are_the_examples_of_the_docs_and_are_valid() -> None:
    document = json.loads(fetch("GET", "/openapi.json").body)
    for path in ("/predict", "/v1/models/adder:predict", "/v2/models/adder/infer"):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert fetch("POST", path, example["value"]).status == 200
    assert len(GOLDEN) == 2
    assert manifest().title == document["info"]["title"]
