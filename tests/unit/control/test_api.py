import asyncio
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Phase, Revision, State
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.table import Table
from fairlead.control.api import build_api
from fairlead.control.metrics import Metrics
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = {version: VersionSpec(source=version) for version in ("1.0.0", "1.1.0")}
STABLE, CANDIDATE = (spec.ref(version) for version, spec in VERSIONS.items())


class Client:
    """Calls the application directly, without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, **options: dict[str, str]) -> httpx.Response:
        return self.ask("GET", path, options)

    def post(self, path: str, **options: dict[str, str]) -> httpx.Response:
        return self.ask("POST", path, options)

    def ask(self, method: str, path: str, options: Mapping[str, dict[str, str]]) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                return await client.request(method, path, params=options.get("params"), headers=options.get("headers"))

        return asyncio.run(exchange())


class FakeLoop:
    beat = 0.0


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "ledger.db")
    spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.1.0"))
    store.put_route("iris", spec, now=NOW, actor="test")
    return store


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def client(store: SqliteStore, loop: FakeLoop) -> Client:
    return Client(build_api(store, loop))


def append(store: SqliteStore, *, weight: int, minutes: float = 0) -> Revision:
    head = store.head("iris")
    moment = NOW + timedelta(minutes=minutes)
    return store.append(
        Revision(
            route="iris",
            seq=head.seq + 1 if head else 1,
            parent=head.hash if head else "",
            cause=Cause.STEP,
            generation=1,
            table=Table(
                model="iris", stable=STABLE, candidate=CANDIDATE, weight=weight, pins=(STABLE, CANDIDATE), attempt=1
            ),
            state=State(phase=Phase.CANARY, target=CANDIDATE, entered_at=moment, attempt=1),
            created_at=moment,
        )
    )


def test_models_are_listed_with_their_weights_and_revision(client: Client, store: SqliteStore) -> None:
    append(store, weight=1000)
    (model,) = client.get("/models").json()["models"]
    assert model["weights"] == {"1.0.0": 9000, "1.1.0": 1000}
    assert model["revision"] == "iris.1"


@pytest.mark.parametrize(("told", "names"), [("iris", ["iris"]), ("dogs,iris", ["iris"]), ("iris2", []), ("", [])])
def test_a_client_sees_only_the_models_that_it_may_call(
    client: Client, store: SqliteStore, told: str, names: list[str]
) -> None:
    append(store, weight=1000)
    headers = {"x-fairlead-models": told}
    assert [one["name"] for one in client.get("/models", headers=headers).json()["models"]] == names
    index = client.post("/v2/repository/index", headers=headers).json()
    assert list(dict.fromkeys(one["name"] for one in index)) == names


def test_a_model_that_serves_nothing_yet_is_listed_as_not_ready(client: Client) -> None:
    (model,) = client.get("/models").json()["models"]
    assert model == {"name": "iris", "versions": ["1.0.0", "1.1.0"], "ready": False, "health": "unknown"}


def test_the_repository_index_of_triton_lists_every_version_with_its_instances(
    client: Client, store: SqliteStore
) -> None:
    assert client.post("/v2/repository/index").json() == []
    append(store, weight=1000)
    for ref, ready, reason in ((STABLE, True, ""), (CANDIDATE, False, "loading")):
        process = {"id": ref.version, "model": "iris", "ref": ref, "host": "127.0.0.1", "port": 1, "observed_at": NOW}
        store.report(Instance.model_validate({**process, "ready": ready, "reason": reason}))
    assert client.post("/v2/repository/index").json() == [
        {"name": "iris", "version": "1.0.0", "state": "READY", "reason": ""},
        {"name": "iris", "version": "1.1.0", "state": "UNAVAILABLE", "reason": "loading"},
    ]


def test_a_model_whose_loop_hangs_is_listed_with_the_age_of_what_is_shown(client: Client, loop: FakeLoop) -> None:
    loop.beat = time.monotonic()
    assert "stale" not in client.get("/models").json()
    loop.beat = time.monotonic() - 60
    assert client.get("/models").json()["stale"] == "the control plane has not turned for 60 s"


def test_the_revision_at_a_time_comes_from_the_ledger(client: Client, store: SqliteStore) -> None:
    append(store, weight=1000)
    append(store, weight=5000, minutes=10)
    answer = client.get("/api/v1/routes/iris/revisions", params={"at": "2026-01-01T00:05:00Z"}).json()
    assert [revision["table"]["weight"] for revision in answer["revisions"]] == [1000]


@pytest.mark.parametrize(("at", "weight"), [("00:10:00", 5000), ("00:10:00Z", 5000), ("00:10:00.5Z", 1000)])
def test_a_time_without_a_fraction_includes_its_whole_second(
    client: Client, store: SqliteStore, at: str, weight: int
) -> None:
    append(store, weight=1000)
    append(store, weight=5000, minutes=10.01)
    answer = client.get("/api/v1/routes/iris/revisions", params={"at": f"2026-01-01T{at}"}).json()
    assert [revision["table"]["weight"] for revision in answer["revisions"]] == [weight]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/models", "GET"),
        ("POST", "/v2", "GET"),
        ("GET", "/v2/repository/index", "POST"),
        ("DELETE", "/models", "GET"),
        ("OPTIONS", "/v2", "GET"),
        ("PUT", "/v2/repository/index", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_a_405_problem_with_the_methods_it_has(
    client: Client, method: str, path: str, allowed: str
) -> None:
    answer = client.ask(method, path, {})
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    wanted = "application/json" if path.startswith("/v2") else "application/problem+json"
    assert answer.headers["content-type"] == wanted
    said = f"{path} has no {method}; it has: {allowed}"
    expected = {"type": "about:blank", "title": "Method Not Allowed", "status": 405, "detail": said, "error": said}
    assert answer.json() == expected


def test_a_path_that_does_not_exist_is_a_404_problem(client: Client) -> None:
    answer = client.post("/nothing/here")
    assert (answer.status_code, answer.json()["title"]) == (404, "NotFound")


def test_a_route_that_does_not_exist_is_a_404_problem(client: Client) -> None:
    answer = client.get("/api/v1/routes/rose")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "rose" in answer.json()["detail"]


def test_an_explanation_with_a_sticky_key_is_exact(client: Client, store: SqliteStore) -> None:
    append(store, weight=5000)
    answer = client.post("/models/iris/predict", headers={"x-route-explain": "1", "x-user-id": "alice"}).json()
    assert answer["version"] in ("1.0.0", "1.1.0")
    assert 0 <= answer["sticky"]["bucket"] < 10_000


def test_an_explanation_without_a_key_gives_probabilities(client: Client, store: SqliteStore) -> None:
    append(store, weight=1000)
    answer = client.post("/models/iris/predict", headers={"x-route-explain": "1"}).json()
    assert answer["version"] is None
    assert answer["probabilities"] == {"1.0.0": 0.9, "1.1.0": 0.1}


@pytest.mark.parametrize("path", ["/models/rose/predict", "/nowhere"])
def test_a_path_of_no_model_cannot_be_explained(client: Client, path: str) -> None:
    assert client.get(path, headers={"x-route-explain": "1"}).status_code == 404


def test_without_the_header_unknown_paths_are_not_found(client: Client, store: SqliteStore) -> None:
    append(store, weight=1000)
    assert client.post("/models/iris/predict").status_code == 404


def test_not_ready_before_the_first_configuration_is_published(client: Client, loop: FakeLoop) -> None:
    assert client.get("/readyz").status_code == 503
    loop.beat = 1.0
    assert client.get("/readyz").status_code == 200


def test_a_stuck_loop_makes_the_process_not_live(client: Client, loop: FakeLoop) -> None:
    loop.beat = 1e-9
    assert client.get("/livez").status_code == 503


def test_the_page_of_the_api_names_every_path_and_loads_nothing(client: Client) -> None:
    reply = client.get("/api/docs")
    assert (reply.status_code, reply.headers["content-security-policy"].split(";")[0]) == (200, "default-src 'none'")
    for path in client.get("/api/openapi.json").json()["paths"]:
        assert f"{path}<" in reply.text or f"{path}?" in reply.text
    assert re.findall(r"""(?:src|href)=["']?([^"'>]+)""", reply.text) == ["openapi.json"]
    assert client.get("/redoc").status_code == 404


def test_no_path_changes_anything(store: SqliteStore, loop: FakeLoop) -> None:
    """Actions come through the socket. What two paths take with POST are questions: an index, and an explanation."""
    changing = {
        (path, method)
        for path, operations in build_api(store, loop, metrics=Metrics()).openapi()["paths"].items()
        for method in operations
        if method not in ("get", "head", "options")
    }
    assert changing == {("/v2/repository/index", "post")}
    client = Client(build_api(store, loop))
    for method in ("PUT", "PATCH", "DELETE"):
        for path in ("/models", "/v2/repository/index", "/api/v1/routes/iris", "/models/iris/predict"):
            assert client.ask(method, path, {}).status_code in (404, 405)
