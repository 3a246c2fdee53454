"""How the gateway handles requests: pins, docs, mirrors, limits, and failures that users do not see."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Mirror, Table
from fairlead.routing.envoy.proto import READY
from fairlead.routing.envoy.routes import GRPC_REFUSED
from fairlead.routing.snapshot import Routed
from integration.routing.backends import Backend, Backends, running_backends
from integration.routing.edge import V1, V2, V3, Edge, an_edge, serving, until

ORIGIN = "https://app.example"
PINS = (V1, V2, V3)


def iris(seq: int = 1, **fields: object) -> Routed:
    return Routed("iris", seq, Table.model_validate({"model": "iris", "stable": V1, "pins": PINS, **fields}))


CANARY = iris(12, candidate=V2, weight=3000)


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with running_backends() as running:
        yield running


@pytest.fixture(scope="module")
def services(backends: Backends) -> Mapping[VersionRef, list[Backend]]:
    return {ref: [backends.start(ref.version) for _ in range(2)] for ref in PINS}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, services: Mapping[VersionRef, list[Backend]]) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    with an_edge(folder, cors_origins=(ORIGIN,), max_request_bytes=1 << 16) as made:
        for ref, running in services.items():
            made.endpoints["default", "iris", ref] = [one.endpoint for one in running]
        with serving(made, CANARY, pending=["cats"]):
            yield made


@pytest.fixture
def client(edge: Edge) -> Iterator[httpx.Client]:
    edge.serve(CANARY, pending=["cats"])
    with edge.client() as made:
        yield made


@pytest.mark.parametrize("ref", PINS, ids=str)
@pytest.mark.parametrize("path", ["/models/iris/predict", "/v1/models/iris:predict", "/v2/models/iris/infer"])
def test_a_header_pins_every_path(client: httpx.Client, ref: VersionRef, path: str) -> None:
    answers = [client.post(path, headers={"x-model-version": ref.version}) for _ in range(10)]
    assert {answer.json()["version"] for answer in answers} == {ref.version}


@pytest.mark.parametrize("ref", PINS, ids=str)
def test_a_pin_path_is_rewritten_to_the_services_own_path(client: httpx.Client, ref: VersionRef) -> None:
    own = client.post(f"/models/iris/versions/{ref}/predict?a=b").json()
    assert (own["version"], own["path"]) == (ref.version, "/predict?a=b")
    v2 = client.post(f"/v2/models/iris/versions/{ref}/infer").json()
    assert (v2["version"], v2["path"]) == (ref.version, f"/v2/models/iris/versions/{ref}/infer")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/models/iris/versions/9/predict", {}),
        ("/v2/models/iris/versions/9/infer", {}),
        ("/models/iris/predict", {"x-model-version": "9"}),
        ("/v2/models/iris/infer", {"x-model-version": "9"}),
        ("/models/iris/predict", {"x-model-version": ""}),
    ],
)
def test_an_unknown_version_is_a_404_problem(client: httpx.Client, path: str, headers: Mapping[str, str]) -> None:
    answer = client.post(path, headers={**headers, "origin": ORIGIN})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == error_type(path)
    assert answer.headers["x-route-revision"] == "iris.12"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    problem = answer.json()
    assert problem["detail"] == "model iris has no such version; it has 1.0.0, 1.1.0, 1.2.0-rc.1"
    assert problem["error"] == problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/models/dogs/predict", "/v1/models/dogs:predict", "/v2/models/iris2/infer", "/no"])
def test_an_unknown_model_is_a_404_problem(client: httpx.Client, path: str) -> None:
    answer = client.post(path)
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such model or path")
    assert (answer.headers["content-type"], answer.json()["error"]) == (error_type(path), answer.json()["detail"])


def error_type(path: str) -> str:
    """KServe's client reads the errors of its protocols from this content type only."""
    return "application/json" if path.startswith(("/v1/", "/v2/")) else "application/problem+json"


def test_a_client_of_kserve_or_triton_can_read_liveness_and_readiness(client: httpx.Client) -> None:
    for path, body in (("/", {"status": "alive"}), ("/v2/health/live", {"live": True}), (READY, {"ready": True})):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == body
        assert client.get(f"{path}?a=b").json() == body


def test_a_client_of_grpc_is_told_to_use_http(client: httpx.Client) -> None:
    answer = client.post("/inference.GRPCInferenceService/ModelInfer")
    assert (answer.status_code, answer.json()["error"]) == (404, GRPC_REFUSED)


def test_a_model_without_a_ready_version_is_a_503_with_retry_after(client: httpx.Client) -> None:
    for path in ("/models/cats/predict", "/v1/models/cats:predict", "/v2/models/cats/infer"):
        answer = client.post(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["detail"] == "model cats has no version ready yet"


def test_the_share_equals_the_weight_and_users_keep_their_version(client: httpx.Client) -> None:
    users = [f"user-{n}" for n in range(500)]
    first = {user: client.post("/models/iris/predict", headers={"x-user-id": user}).json()["version"] for user in users}
    again = {
        user: client.post("/v2/models/iris/infer", headers={"x-user-id": user}).json()["version"] for user in users
    }
    assert first == again
    assert 0.24 < Counter(first.values())[V2.version] / 500 < 0.36


def test_users_keep_the_candidate_as_the_weight_rises_and_change_with_the_attempt(
    edge: Edge, client: httpx.Client
) -> None:
    def drawn(table: Routed) -> set[int]:
        edge.serve(table)
        return {
            n
            for n in range(400)
            if client.post("/models/iris/predict", headers={"x-user-id": str(n)}).json()["version"] == V2.version
        }

    low, high = drawn(iris(20, candidate=V2, weight=1000)), drawn(iris(21, candidate=V2, weight=5000))
    other = drawn(iris(22, candidate=V2, weight=5000, attempt=1))
    assert low < high
    assert 0.3 < len(high & other) / len(high) < 0.7


def test_without_a_sticky_header_every_request_is_drawn_anew(edge: Edge, client: httpx.Client) -> None:
    edge.serve(iris(30, candidate=V2, weight=5000, sticky=None))
    answers = {client.post("/models/iris/predict", headers={"x-user-id": "one"}).json()["version"] for _ in range(40)}
    assert answers == {V1.version, V2.version}


def test_docs_come_from_stable_with_their_path_prefix(client: httpx.Client) -> None:
    for path, inside, prefix in (
        ("/models/iris/docs", "/docs", "/models/iris"),
        ("/models/iris/docs/swagger.css", "/docs/swagger.css", "/models/iris"),
        ("/models/iris/openapi.json", "/openapi.json", "/models/iris"),
        ("/models/iris/golden", "/golden", "/models/iris"),
    ):
        seen = client.get(path, headers={"x-forwarded-prefix": "/evil"}).json()
        assert (seen["version"], seen["path"]) == (V1.version, inside)
        assert seen["headers"]["x-forwarded-prefix"] == prefix
    pinned = client.get("/models/iris/versions/1.1.0/docs/swagger.js").json()
    assert (pinned["version"], pinned["path"]) == (V2.version, "/docs/swagger.js")
    assert pinned["headers"]["x-forwarded-prefix"] == "/models/iris/versions/1.1.0"


def test_predictions_carry_no_forged_or_internal_headers(client: httpx.Client) -> None:
    forged = {"x-shadow-of": "iris", "x-forwarded-prefix": "/evil", "x-envoy-upstream-rq-timeout-ms": "1"}
    forged["x-route-revision"] = "iris.1"
    answer = client.post("/models/iris/predict", headers={**forged, "x-request-id": "mine"})
    seen = answer.json()["headers"]
    assert not {"x-shadow-of", "x-forwarded-prefix", "x-envoy-upstream-rq-timeout-ms", "x-envoy-retry-on"} & seen.keys()
    assert seen["x-client-request-id"] == "mine"
    assert seen["x-request-id"] == answer.headers["x-request-id"] != "mine"
    assert not [name for name in answer.headers if name.startswith("x-envoy-")]
    # The service gets the revision too, for its recording, and never one of the client's.
    assert answer.headers["x-route-revision"] == seen["x-route-revision"] == "iris.12"
    docs = client.get("/models/iris/docs", headers=forged).json()["headers"]
    assert "x-route-revision" not in docs


def test_a_body_above_the_limit_is_413_and_a_smaller_one_arrives(client: httpx.Client) -> None:
    assert client.post("/models/iris/predict", content=b"x" * (1 << 15)).status_code == 200
    answer = client.post("/models/iris/predict", content=b"x" * (1 << 17))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_while_the_control_plane_is_down_only_its_own_paths_are_503(client: httpx.Client) -> None:
    assert client.get("/models").status_code == 503
    assert client.get("/v2").status_code == 503
    assert client.post("/v2/repository/index").status_code == 503
    assert client.post("/models/iris/predict", headers={"x-route-explain": "1"}).status_code == 503
    assert client.post("/models/iris/predict").status_code == 200
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get(READY).status_code == 200


def test_explanations_and_the_model_list_come_from_the_control_plane(
    backends: Backends, edge: Edge, client: httpx.Client
) -> None:
    control = backends.start("control", port=edge.settings.control.port)
    try:
        assert client.get("/models").json()["version"] == "control"
        asked = client.post("/v2/models/iris/infer", headers={"x-route-explain": "1"}).json()
        assert (asked["version"], asked["path"]) == ("control", "/v2/models/iris/infer")
    finally:
        backends.kill(control)


def test_only_configured_origins_are_allowed_by_cors(client: httpx.Client) -> None:
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "x-user-id"}
    allowed = client.options("/models/iris/predict", headers={"origin": ORIGIN, **ask})
    assert allowed.status_code == 200
    assert "x-user-id" in allowed.headers["access-control-allow-headers"]
    other = client.post("/models/iris/predict", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_mirror_gets_marked_requests_and_its_failures_reach_no_client(
    edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]]
) -> None:
    shadows = services[V3]
    for one in shadows:
        one.seen.clear()
        one.status = 500
    try:
        edge.serve(iris(40, mirrors=(Mirror(version=V3, share=10_000),)))
        ids = {client.post("/models/iris/predict", content=b"{}").headers["x-request-id"] for _ in range(50)}
        until(lambda: sum(len(one.seen) for one in shadows) >= 50)
    finally:
        for one in shadows:
            one.status = 200
    copies = [seen for one in shadows for seen in one.seen]
    assert {seen.headers["x-request-id"] for seen in copies} == ids
    assert {seen.headers["x-shadow-of"] for seen in copies} == {"iris"}
    assert all(seen.headers["x-route-revision"].startswith("iris.") for seen in copies)
    assert all("shadow" not in seen.headers["host"] for seen in copies)


def test_a_tenth_of_the_traffic_is_mirrored_at_a_share_of_a_tenth(
    edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]]
) -> None:
    edge.serve(iris(41, mirrors=(Mirror(version=V3, share=1000),)))
    for one in services[V3]:
        one.seen.clear()
    for _ in range(600):
        client.post("/models/iris/predict")
    assert 30 < sum(len(one.seen) for one in services[V3]) < 95


def failures(client: httpx.Client, count: int) -> Counter[int]:
    return Counter(client.post("/models/iris/predict").status_code for _ in range(count))


@pytest.mark.parametrize("how", ["500", "429", "hang"])
def test_users_see_no_error_of_a_broken_candidate(
    edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]], how: str
) -> None:
    edge.serve(iris(50, candidate=V2, weight=5000, per_try_timeout_s=0.1, attempt=len(how) + ord(how[0])))
    for one in services[V2]:
        one.status, one.delay_s = (200, 3.0) if how == "hang" else (int(how), 0.0)
    try:
        assert failures(client, 300) == {200: 300}
    finally:
        for one in services[V2]:
            one.status, one.delay_s = 200, 0.0


def test_users_see_no_error_of_a_candidate_without_instances(edge: Edge, client: httpx.Client) -> None:
    endpoints = edge.endpoints["default", "iris", V2]
    edge.endpoints["default", "iris", V2] = []
    try:
        edge.serve(iris(51, candidate=V2, weight=5000))
        assert failures(client, 300) == {200: 300}
    finally:
        edge.endpoints["default", "iris", V2] = endpoints


def test_a_model_that_is_not_idempotent_gets_each_request_once(
    edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]]
) -> None:
    edge.serve(iris(52, candidate=V2, weight=10_000, idempotent=False))
    for one in services[V2]:
        one.status = 500
        one.seen.clear()
    try:
        assert failures(client, 4) == {500: 4}
        assert sum(len(one.seen) for one in services[V2]) == 4
    finally:
        for one in services[V2]:
            one.status = 200


def test_failures_of_pinned_requests_eject_no_host(
    edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]]
) -> None:
    edge.serve(iris(53))
    for one in services[V1]:
        one.status = 500
    assert {client.post("/models/iris/versions/1.0.0/predict").status_code for _ in range(50)} == {500}
    for one in services[V1]:
        one.status = 200
    assert failures(client, 100) == {200: 100}


def test_users_see_no_error_when_an_instance_of_stable_is_killed(
    backends: Backends, edge: Edge, client: httpx.Client, services: Mapping[VersionRef, list[Backend]]
) -> None:
    edge.serve(iris(54))
    codes: Counter[int] = Counter()
    stop = threading.Event()

    def ask() -> None:
        with edge.client() as own:
            while not stop.is_set():
                codes[own.post("/models/iris/predict").status_code] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    victim = services[V1][0]
    until(lambda: codes[200] > 100)
    backends.kill(victim)
    until(lambda: codes[200] > 1000, timeout_s=20)
    stop.set()
    for thread in threads:
        thread.join()
    services[V1][0] = backends.start(V1.version, port=victim.port)
    assert set(codes) == {200}


def test_two_identities_of_one_version_are_distinguished(
    backends: Backends, edge: Edge, client: httpx.Client, tmp_path: Path
) -> None:
    rebuilt = VersionRef(version=V1.version, identity="d" * 10)
    edge.endpoints["default", "iris", rebuilt] = [backends.start("rebuilt").endpoint]
    edge.serve(iris(60, candidate=rebuilt, weight=0, pins=(*PINS, rebuilt)))
    assert client.post("/models/iris/versions/1.0.0/predict").json()["version"] == V1.version
    for path, header in (
        ("/models/iris/versions/1.0.0~dddddddddd/predict", {}),
        ("/models/iris/predict", {"x-model-version": "1.0.0~dddddddddd"}),
    ):
        assert client.post(path, headers=header).json()["version"] == "rebuilt"
    v2 = client.post("/v2/models/iris/versions/1.0.0~dddddddddd/infer").json()
    assert (v2["version"], v2["path"]) == ("rebuilt", "/v2/models/iris/versions/1.0.0/infer")
