"""Clients of gRPC behind a real gateway and real services: the same rules, counters and words as over HTTP."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.gateway import GatewaySite, Role, key_of
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Mirror
from fairlead.contracts.telemetry import MODEL_REQUESTS
from fairlead.control.client_counts import ClientCounts
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from fairlead.rollout.ports import Reading
from fairlead.routing.snapshot import AccessLog, Endpoint, Guard, Routed
from fairlead.serving.grpc.definitions import SERVICE, message
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving
from support import clients, folders
from support.grpc_client import elements, infer, tensor
from support.processes import free_port, wait_until
from support.service import HOST, Service

HERE = Path(__file__).parent
IRIS = Path(__file__).parents[3] / "build" / "models" / "iris" / "1.1.0"
CODE = """
import time
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Number(BaseModel):
    value: float = 1.0
    text: str = ""

class Doubled(BaseModel):
    value: float

class Doubler(fairlead.Model[Number, Doubled]):
    def load(self, artifact: Path) -> None:
        self.is_candidate = artifact.read_text() == "candidate"

    def predict(self, rows: list[Number]) -> list[Doubled]:
        for row in rows:
            if row.value == 13 or (row.value == 12 and self.is_candidate):
                raise RuntimeError("failed on command")
            if row.value == 14:
                time.sleep(1)
        return [Doubled(value=2 * row.value + len(row.text)) for row in rows]
"""
GOLDEN = ({"input": {"value": 1.5}, "expected": {"value": 3.0}},)
NAMED = ("fairlead-model", "iris")


@dataclass
class Scene:
    """A gateway, the services of stable and the candidate, and a client."""

    edge: Edge
    services: Mapping[VersionRef, Service]
    channel: Any

    def call(self, request: Any, *metadata: tuple[str, str], method: str = "ModelInfer", **options: Any) -> Any:
        """The answer and its metadata. Raises grpc.RpcError."""
        unary = self.channel.unary_unary(f"/{SERVICE}/{method}")
        answer, call = unary.with_call(
            request.SerializeToString(), metadata=metadata, timeout=options.get("timeout", 10)
        )
        return message(f"{method}Response").FromString(answer), dict(call.initial_metadata())

    def fails(self, request: Any, *metadata: tuple[str, str], **options: Any) -> tuple[str, str, str]:
        """The code of a call that fails, its sentence, and the kind."""
        with pytest.raises(grpc.RpcError) as raised:
            self.call(request, *metadata, **options)
        error: Any = raised.value
        return error.code().name, error.details(), dict(error.trailing_metadata() or ()).get("fairlead-kind", "")

    def answered(self, routed: Routed, ref: VersionRef, role: Role = Role.SPLIT) -> tuple[int, int]:
        """What the gateway has counted for a version, as a rollout reads it: answers that are good, and others."""
        [reading] = self.reading()
        key = key_of(role, routed.table, ref)
        return _sum(reading.endpoints.get(key, {}))

    def reading(self) -> list[Reading]:
        """The gateway's counters."""
        stats = EnvoyStats(HOST, self.edge.admin_port)
        try:
            return list(stats.read())
        finally:
            stats.close()


def _sum(hosts: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(good for good, _ in hosts.values()), sum(bad for _, bad in hosts.values())


@contextmanager
def a_scene(folder: Path, routed: Routed, **settings: Any) -> Iterator[Scene]:
    """Both services behind a gateway with these settings."""

    def made(ref: VersionRef, artifact: bytes) -> Path:
        more = {"name": "iris", "version": ref.version, "entry": "model:Doubler"}
        return folders.make(folder / ref.version, code=CODE, artifact=artifact, golden=GOLDEN, **more)

    with ExitStack() as stack:
        running = {
            ref: stack.enter_context(Service(made(ref, text), log=folder / f"{ref.version}.log"))
            for ref, text in ((V1, b"stable"), (V2, b"candidate"))
        }
        edge = stack.enter_context(an_edge(folder, grpc=True, **settings))
        edge.endpoints |= {("default", "iris", ref): [Endpoint(HOST, one.port)] for ref, one in running.items()}
        stack.enter_context(serving(edge, routed, pending=["cats"]))
        channel = stack.enter_context(grpc.insecure_channel(f"{HOST}:{edge.settings.port}"))
        yield Scene(edge, running, channel)


THIRD = iris(1, 3000, sticky="x-user-id", mirrors=())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The candidate has 30 % of the calls."""
    with a_scene(tmp_path_factory.mktemp("scene"), THIRD) as scene:
        yield scene


def number(value: float = 1.0, model: str = "iris") -> Any:
    return infer(model, tensor("value", "FP64", [1], [value]))


def test_the_share_of_calls_is_the_weight_and_users_keep_their_version(scene: Scene) -> None:
    def versions() -> list[str]:
        users = (("x-user-id", f"user-{one}") for one in range(300))
        return [scene.call(number(), NAMED, user)[1]["x-model-version"] for user in users]

    first = versions()
    assert first == versions()
    assert 60 <= Counter(first)["1.1.0"] <= 120  # 90 expected, 3.8 standard deviations


def test_the_answer_has_the_revision_that_routed_it_and_an_id(scene: Scene) -> None:
    answer, metadata = scene.call(number(4), NAMED)
    assert elements(answer) == {"value": [8.0]}
    assert (metadata["x-route-revision"], len(metadata["x-request-id"])) == ("iris.1", 36)


def test_what_the_candidate_fails_is_answered_by_stable_and_counted_against_the_candidate(scene: Scene) -> None:
    before = scene.answered(THIRD, V2)
    versions = Counter(scene.call(number(12), NAMED)[1]["x-model-version"] for _ in range(60))
    after = scene.answered(THIRD, V2)
    assert versions == {"1.0.0": 60}
    failed = after[1] - before[1]
    assert failed >= 3  # 18 expected; after five in a row the instance is ejected for a while
    assert after[0] == before[0]


def failed(scene: Scene) -> int:
    clusters = ((V1, Role.SPLIT), (V2, Role.SPLIT), (V1, Role.FALLBACK))
    return sum(scene.answered(THIRD, ref, role)[1] for ref, role in clusters)


def test_a_call_that_fails_everywhere_is_an_error_and_is_counted_as_one(scene: Scene) -> None:
    before, bad = [scene.answered(THIRD, ref) for ref in (V1, V2)], failed(scene)
    code, sentence, kind = scene.fails(number(13), NAMED)
    assert (code, kind) == ("INTERNAL", "model-failed")
    assert sentence.startswith("the model could not answer this request")
    # Of the version that was drawn, or of stable in its place if the candidate was ejected before. The client
    # may have its answer a moment before the gateway has counted it.
    wait_until(lambda: failed(scene) > bad, "the failure is counted")
    assert [scene.answered(THIRD, ref)[0] for ref in (V1, V2)] == [good for good, _ in before]


def test_the_log_of_failures_has_calls_that_failed_and_no_others(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with a_scene(tmp_path, iris(1, 0), access_log=AccessLog(str(log), successes_per_million=0)) as scene:
        scene.call(number(), NAMED)
        scene.fails(infer("iris", tensor("other", "FP64", [1], [1.0])), NAMED)
        assert httpx.get(f"{scene.edge.url}/models/dogs", trust_env=False).status_code == 404
        scene.fails(number(13), NAMED)
        wait_until(lambda: log.exists() and log.read_text() != "", "a request is in the log")
    (line,) = map(json.loads, log.read_text().splitlines())
    assert (line["path"], line["status"], int(line["grpc_status"])) == ("/v2/models/iris/infer", 200, 13)


def test_what_a_client_sends_wrong_is_the_clients_error(scene: Scene) -> None:
    wrong = infer("iris", tensor("other", "FP64", [1], [1.0]))
    code, sentence, kind = scene.fails(wrong, NAMED)
    assert (code, kind) == ("INVALID_ARGUMENT", "invalid")
    assert sentence.startswith("body.inputs.0.name: the model has no input of this name")


def test_metadata_pins_a_version(scene: Scene) -> None:
    for version in ("1.0.0", "1.1.0"):
        answered = {scene.call(number(), NAMED, ("x-model-version", version))[1]["x-model-version"] for _ in range(5)}
        assert answered == {version}
    code, sentence, _ = scene.fails(number(), NAMED, ("x-model-version", "9"))
    assert (code, sentence) == ("NOT_FOUND", "model iris has no such version; it has 1.0.0, 1.1.0")


@pytest.mark.parametrize("metadata", [(), (("seldon-model", "iris"),), (("mm-vmodel-id", "iris"),)])
def test_a_client_that_knows_nothing_of_the_gateway_is_served(scene: Scene, metadata: Any) -> None:
    assert elements(scene.call(number(2), *metadata)[0]) == {"value": [4.0]}


def test_a_message_of_a_megabyte_needs_no_metadata(scene: Scene) -> None:
    text = b"." * 1_000_000
    request = infer("iris", tensor("value", "FP64", [1], [1.0]), tensor("text", "BYTES", [1], [text]))
    assert elements(scene.call(request)[0]) == elements(scene.call(request, NAMED)[0]) == {"value": [1_000_002.0]}


def test_the_metadata_routes_and_the_message_is_checked(scene: Scene) -> None:
    code, sentence, kind = scene.fails(number(model="wine"), NAMED)
    assert (code, kind) == ("NOT_FOUND", "not-found")
    assert sentence.startswith("model 'wine' is not served here: this is 'iris'")


@pytest.mark.parametrize(
    ("metadata", "method", "code", "sentence", "kind"),
    [
        ((("fairlead-model", "dogs"),), "ModelInfer", "NOT_FOUND", "no such model or path", "direct_response"),
        ((("fairlead-model", "../iris"),), "ModelInfer", "NOT_FOUND", "no such model or path", "not-found"),
        (
            (("fairlead-model", "cats"),),
            "ModelInfer",
            "UNAVAILABLE",
            "model cats has no version ready yet",
            "direct_response",
        ),
        (
            (NAMED,),
            "ModelStreamInfer",
            "UNIMPLEMENTED",
            "this gateway does not answer this method of gRPC",
            "unknown-method",
        ),
        (
            (),
            "ServerMetadata",
            "INVALID_ARGUMENT",
            "the call does not say for which model it is; name it in the metadata fairlead-model",
            "no-model",
        ),
    ],
)
def test_what_the_gateway_refuses_has_a_code_a_sentence_and_a_kind(
    scene: Scene, metadata: Any, method: str, code: str, sentence: str, kind: str
) -> None:
    request = number() if method == "ModelInfer" else message("ServerMetadataRequest")()
    assert scene.fails(request, *metadata, method=method) == (code, sentence, kind)


def test_a_call_for_another_service_of_grpc_gets_a_sentence_and_no_document(scene: Scene) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        scene.channel.unary_unary("/shop.Basket/Add")(b"", timeout=10)
    error: Any = raised.value
    assert (error.code().name, error.details()) == ("UNIMPLEMENTED", "no such model or path")


def test_what_the_service_tells_of_itself_comes_from_stable(scene: Scene) -> None:
    for method, asked in (
        ("ServerLive", {}),
        ("ServerReady", {}),
        ("ModelReady", {"name": "iris"}),
        ("ModelMetadata", {"name": "iris"}),
        ("ServerMetadata", {}),
    ):
        answer, metadata = scene.call(message(f"{method}Request")(**asked), NAMED, method=method)
        assert metadata["x-model-version"] == "1.0.0"
        assert all(value is not False for _, value in answer.ListFields())
        assert answer.ListFields()


def test_the_gateway_itself_says_that_it_is_alive_and_ready(scene: Scene) -> None:
    for method in ("ServerLive", "ServerReady"):
        answer, metadata = scene.call(message(f"{method}Request")(), method=method)
        assert [value for _, value in answer.ListFields()] == [True]
        assert "x-model-version" not in metadata


def test_the_version_that_a_message_names_is_the_one_that_answers(scene: Scene) -> None:
    for version in ("1.0.0", "1.1.0"):
        asked = infer("iris", tensor("value", "FP64", [1], [1.0]), model_version=version)
        assert {scene.call(asked)[1]["x-model-version"] for _ in range(5)} == {version}
    code, sentence, _ = scene.fails(infer("iris", tensor("value", "FP64", [1], [1.0]), model_version="9"))
    assert (code, sentence) == ("NOT_FOUND", "model iris has no such version; it has 1.0.0, 1.1.0")


def test_a_deadline_reaches_the_service(scene: Scene) -> None:
    began = time.monotonic()
    code, _, _ = scene.fails(number(14), NAMED, timeout=0.3)
    assert code == "DEADLINE_EXCEEDED"
    assert time.monotonic() - began < 0.9


def test_a_message_above_the_limit_is_refused(scene: Scene) -> None:
    request = infer("iris", tensor("value", "FP64", [1]), raw=[bytes(5 << 20)])
    for metadata in ((NAMED,), ()):
        code, sentence, kind = scene.fails(request, *metadata)
        assert (code, sentence, kind) == ("RESOURCE_EXHAUSTED", "Payload Too Large", "request_payload_too_large")


def test_a_shadow_gets_a_copy_of_each_call_and_users_never_see_it(tmp_path: Path) -> None:
    mirrored = iris(1, 0, mirrors=(Mirror(version=V2, share=10_000),))
    with a_scene(tmp_path, mirrored) as scene:
        for _ in range(20):
            assert scene.call(number(12), NAMED)[1]["x-model-version"] == "1.0.0"
        shadow = scene.services[V2]
        failed = {"protocol": "grpc", "code": "500"}
        deadline = time.monotonic() + 10
        while shadow.metric(MODEL_REQUESTS.name, **failed) < 20:
            assert time.monotonic() < deadline, "the shadow did not get the copies"
            time.sleep(0.05)


def test_a_call_needs_a_key_where_requests_need_one(tmp_path: Path) -> None:
    known = {
        "shop": {"keys": [key_hash("secret")], "models": ["iris"]},
        "wine": {"keys": [key_hash("other")], "models": ["wine"]},
        "slow": {"keys": [key_hash("slow")], "limit": {"rate": 0.1, "burst": 1}},
    }
    access = Access.model_validate({"clients": known})
    with a_scene(tmp_path, iris(1, 0), guard=Guard(access)) as scene:
        assert scene.call(number(), NAMED, ("x-api-key", "secret"))[1]["x-model-version"] == "1.0.0"
        code, sentence, kind = scene.fails(number(), NAMED)
        assert (code, kind) == ("UNAUTHENTICATED", "no-credential")
        assert "x-api-key" in sentence
        assert scene.fails(number(), NAMED, ("x-api-key", "other")) == (
            "PERMISSION_DENIED",
            "client wine may not call model iris",
            "other-model",
        )
        assert scene.call(number(), NAMED, ("x-api-key", "slow"))
        code, sentence, kind = scene.fails(number(), NAMED, ("x-api-key", "slow"))
        assert (code, kind) == ("RESOURCE_EXHAUSTED", "over-limit")
        assert sentence.startswith("client slow sends more requests than its limit allows")
        assert scene.fails(number(), ("x-api-key", "secret"))[0] == "INVALID_ARGUMENT"


def test_a_call_that_was_refused_or_failed_counts_for_no_quota(tmp_path: Path) -> None:
    known = {
        "shop": {"keys": [key_hash("secret")]},
        "wine": {"keys": [key_hash("other")], "models": ["wine"]},
    }
    with a_scene(tmp_path, iris(1, 0), guard=Guard(Access.model_validate({"clients": known}))) as scene:
        site = GatewaySite("a", HOST, scene.edge.admin_port)
        counts = ClientCounts(lambda: [site], timeout_s=30)

        def counted() -> Mapping[str, int]:
            reading = counts.read()["a"]
            assert reading is not None
            return reading.clients

        try:
            scene.call(number(), NAMED, ("x-api-key", "secret"))
            assert scene.fails(infer("iris"), NAMED, ("x-api-key", "secret"))[0] == "INVALID_ARGUMENT"
            assert scene.fails(number(), NAMED, ("x-api-key", "other"))[0] == "PERMISSION_DENIED"
            assert scene.fails(number(13), NAMED, ("x-api-key", "secret"))[0] == "INTERNAL"
            url, key = f"{scene.edge.url}/models/iris/predict", {"x-api-key": "secret"}
            assert httpx.post(url, json={"value": 1}, headers=key, trust_env=False).status_code == 200
            wait_until(lambda: counted().get("shop", 0) >= 3, "the requests were not counted")
            assert counted() == {"shop": 3}
        finally:
            counts.close()


def test_whether_the_gateway_is_alive_and_ready_is_told_without_a_key(tmp_path: Path) -> None:
    guard = Guard(Access.model_validate({"clients": {"shop": {"keys": [key_hash("secret")], "models": ["iris"]}}}))
    with a_scene(tmp_path, iris(1, 0), guard=guard) as scene:
        for method in ("ServerLive", "ServerReady"):
            asked = message(f"{method}Request")()
            for metadata in ((), (("x-api-key", "secret"),), (("x-api-key", "guess"),)):
                answer, _ = scene.call(asked, *metadata, method=method)
                assert [value for _, value in answer.ListFields()] == [True], (method, metadata)
        assert scene.fails(message("ServerLiveRequest")(), NAMED, method="ServerLive")[0] == "UNAUTHENTICATED"


def test_plain_http_at_the_path_of_grpc_is_told_so(scene: Scene) -> None:
    answer = httpx.post(f"{scene.edge.url}/{SERVICE}/ModelInfer", json={}, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "this path answers gRPC only" in answer.json()["detail"]


NOT_AS_AT_THE_SERVICE = {"server", "gzip", "no model", "no version"}
"""What names no model, or in a compressed message; and what the gateway knows before the service, in its own words."""


@pytest.mark.parametrize("client", ["triton", "kserve"])
def test_clients_of_other_platforms_get_the_same_bits_through_the_gateway(client: str, tmp_path: Path) -> None:
    assert IRIS.exists(), "build/models/iris is missing: run ci/models"
    port = free_port()

    def asked(at: int) -> dict[str, Any]:
        done = clients.run([HERE / "foreign_grpc_clients.py", client, f"{HOST}:{at}", "iris"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    with (
        Service(IRIS, log=tmp_path / "log", flags=["--grpc-port", str(port)]) as service,
        an_edge(tmp_path, grpc=True) as edge,
    ):
        edge.endpoints["default", "iris", V2] = [Endpoint(HOST, service.port)]
        with serving(edge, iris(1, 0, stable=V2, candidate=None, pins=(V2,))):
            direct, through = asked(port), asked(edge.settings.port)
    same = direct.keys() - NOT_AS_AT_THE_SERVICE
    assert {name: through[name] for name in same} == {name: direct[name] for name in same}
    assert (through["live"], through["ready"]) == (True, True)
    if client == "triton":
        assert "StatusCode.NOT_FOUND] no such model or path" in through["no model"]["raised"]
        assert "StatusCode.NOT_FOUND] model iris has no such version; it has 1.1.0" in through["no version"]["raised"]
