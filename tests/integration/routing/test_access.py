"""Who can reach what, through a real Envoy: keys, tokens, models, limits, and that no refusal is evidence."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.gateway_telemetry import GATEWAY_CLIENT_REQUESTS
from fairlead.contracts.table import Table
from fairlead.routing.snapshot import Guard, Routed
from integration.routing.access_scene import bearer, key, stats
from integration.routing.backends import Backend, running_backends
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving
from integration.routing.tokens import DAY, Signer, unsigned

ISSUER, OTHER = Signer(1), Signer(2)
ACCESS = Access.model_validate(
    {
        "clients": {
            "shop": {"keys": [key_hash("shop-new"), key_hash("shop-old")], "models": ["iris"]},
            "ops": {"keys": [key_hash("ops-key")]},
            "batch": {"keys": [key_hash("batch-key")], "limit": {"rate": 1, "burst": 5}},
            "mixed": {"keys": [key_hash("mixed-key")], "modelLimits": {"iris": {"rate": 0.1, "burst": 2}}},
            "once": {"keys": [key_hash("once-key")], "limit": {"rate": 0.01, "burst": 1}},
            "revoked": {},
            "web": {"claims": {"azp": "web", "scope": "predict"}, "models": ["iris"]},
            "staff": {"claims": {"groups": "ml"}},
        },
        "tokens": [{"issuer": "https://login.example", "audiences": ["models"], "jwks": ISSUER.jwks}],
    }
)
DOGS = Routed("dogs", 1, Table.model_validate({"model": "dogs", "stable": V1, "pins": (V1,)}))
CANARY = iris(3, 5000)
ORIGIN = "https://app.example"
WEB: dict[str, Any] = {"azp": "web", "scope": "openid predict"}


@dataclass
class Scene:
    edge: Edge
    services: Sequence[Backend]

    def seen(self) -> int:
        return sum(len(one.seen) for one in self.services)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("edge")
    guard = Guard(ACCESS, key_hash("own"))
    hosts = ("127.0.0.1", "localhost")
    with running_backends() as backends, an_edge(folder, guard=guard, cors_origins=(ORIGIN,), hosts=hosts) as edge:
        control = backends.start("control", port=edge.settings.control.port)
        services = [backends.start(ref.version) for ref in (V1, V2)]
        for ref, one in zip((V1, V2), services, strict=True):
            edge.endpoints["default", "iris", ref] = [one.endpoint]
        edge.endpoints["default", "dogs", V1] = [services[0].endpoint]
        with serving(edge, CANARY, DOGS, pending=["cats"]):
            yield Scene(edge, [*services, control])


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str = ""
    path: str = "/models/iris/predict"
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    twice: tuple[tuple[str, str], ...] = ()
    """Header lines in addition to `headers`."""


_TOKEN = ISSUER.token(**WEB)
_TAMPERED = ".".join([*OTHER.token(**{**WEB, "sub": "me"}).split(".")[:2], _TOKEN.split(".")[2]])
CASES = [
    Case("no key", 401, "no-credential"),
    Case("a key", 200, headers=key("shop-new")),
    Case("the key before it was replaced", 200, headers=key("shop-old")),
    Case("a key as a bearer", 200, headers=bearer("shop-new")),
    Case("the scheme in other letters", 200, headers={"authorization": "bearer shop-new"}),
    Case("another scheme", 401, "no-credential", headers={"authorization": "Basic c2hvcDpzaG9wLW5ldw=="}),
    Case("an unknown key", 401, "unknown-key", headers=key("shop-older")),
    Case("an empty key", 401, "unknown-key", headers=key("")),
    Case("a key in other letters", 401, "unknown-key", headers=key("SHOP-NEW")),
    Case("a key with more after it", 401, "unknown-key", headers=key("shop-new2")),
    Case("a very long key", 401, "unknown-key", headers=key("k" * 4000)),
    Case("the hash of a key", 401, "unknown-key", headers=key(key_hash("shop-new"))),
    Case("only the digits of a hash", 401, "unknown-key", headers=key(key_hash("shop-new")[7:])),
    Case("the name of a client", 401, "unknown-key", headers=key("client:ops")),
    Case("the word for claims", 401, "unknown-key", headers=key("claims")),
    Case("a key in the query", 401, "no-credential", path="/models/iris/predict?x-api-key=shop-new"),
    Case("a key in a cookie", 401, "no-credential", headers={"cookie": "x-api-key=shop-new"}),
    Case("a key in two lines", 401, "several-credentials", headers=key("shop-new"), twice=(("x-api-key", "shop-new"),)),
    Case("two keys in one line", 401, "unknown-key", headers=key("shop-new, ops-key")),
    Case("a key and a token", 401, "several-credentials", headers={**key("shop-new"), **bearer(_TOKEN)}),
    Case("the platform's own key", 200, headers=key("own")),
    Case("a key for another model", 403, "other-model", path="/models/dogs/predict", headers=key("shop-new")),
    Case("a key for all models", 200, path="/models/dogs/predict", headers=key("ops-key")),
    Case("V1", 200, path="/v1/models/iris:predict", headers=key("shop-new")),
    Case("V1 of another model", 403, "other-model", path="/v1/models/dogs:predict", headers=key("shop-new")),
    Case("V2", 200, path="/v2/models/iris/infer", headers=key("shop-new")),
    Case("V2 without a key", 401, "no-credential", path="/v2/models/iris/infer"),
    Case("V2 of another model", 403, "other-model", path="/v2/models/dogs/infer", headers=key("shop-new")),
    Case("a pin", 200, path="/models/iris/versions/1.1.0/predict", headers=key("shop-new")),
    Case(
        "a pin of another model",
        403,
        "other-model",
        path="/models/dogs/versions/1.0.0/predict",
        headers=key("shop-new"),
    ),
    Case("a pin without a key", 401, "no-credential", path="/models/iris/versions/1.1.0/predict"),
    Case("docs without a key", 401, "no-credential", path="/models/iris/docs", method="GET"),
    Case("docs", 200, path="/models/iris/docs", headers=key("shop-new"), method="GET"),
    Case("docs of another model", 403, "other-model", "/models/dogs/docs", key("shop-new"), "GET"),
    Case("readiness of a model without a key", 401, "no-credential", path="/v2/models/iris/ready", method="GET"),
    Case("a model that is pending", 403, "other-model", path="/models/cats/predict", headers=key("shop-new")),
    Case("a model that is pending, with all models", 503, path="/models/cats/predict", headers=key("ops-key")),
    Case("no such model, without a key", 401, "no-credential", path="/models/birds/predict"),
    Case("no such model", 404, path="/models/birds/predict", headers=key("shop-new")),
    Case("the list without a key", 401, "no-credential", path="/models", method="GET"),
    Case("the list", 200, path="/models", headers=key("shop-new"), method="GET"),
    Case("the server's metadata without a key", 401, "no-credential", path="/v2", method="GET"),
    Case("the index without a key", 401, "no-credential", path="/v2/repository/index"),
    Case("an explanation without a key", 401, "no-credential", headers={"x-route-explain": "1"}),
    Case("an explanation", 200, headers={**key("shop-new"), "x-route-explain": "1"}),
    Case(
        "an explanation of another model",
        403,
        "other-model",
        "/models/dogs/predict",
        {**key("shop-new"), "x-route-explain": "1"},
    ),
    Case("alive", 200, path="/", method="GET"),
    Case("live", 200, path="/v2/health/live", method="GET"),
    Case("ready", 200, path="/v2/health/ready", method="GET"),
    Case("below an open path", 401, "no-credential", path="/v2/health/live/x", method="GET"),
    Case("another host", 421, headers={"host": "evil.example"}),
    Case("an escaped slash", 400, path="/models%2fdogs/predict", headers=key("shop-new")),
    Case("an escaped slash in the name", 400, path="/models/iris%2f..%2fdogs/predict", headers=key("shop-new")),
    Case("an escaped letter", 403, "other-model", path="/models/%64ogs/predict", headers=key("shop-new")),
    Case("two slashes", 403, "other-model", path="//models//dogs/predict", headers=key("shop-new")),
    Case("dots", 403, "other-model", path="/models/iris/../dogs/predict", headers=key("shop-new")),
    Case("escaped dots", 403, "other-model", path="/models/iris/%2e%2e/dogs/predict", headers=key("shop-new")),
    Case("dots to an open path", 401, "no-credential", path="/v2/health/live/../../models/iris/infer"),
    Case("dots from an open path", 200, path="/models/iris/../../v2/health/live", method="GET"),
    Case("a semicolon in the name", 403, "other-model", path="/models/dogs;x=/predict", headers=key("shop-new")),
    Case("a semicolon after an open path", 401, "no-credential", path="/v2/health/live;/models/iris/predict"),
    Case("a name that begins like another", 404, path="/models/iris2/predict", headers=key("shop-new")),
    Case(
        "a query that names another model",
        200,
        path="/models/iris/predict?model=/models/dogs/predict",
        headers=key("shop-new"),
    ),
    Case(
        "a forged list of models",
        200,
        path="/models",
        headers={**key("shop-new"), "x-fairlead-models": "dogs"},
        method="GET",
    ),
    Case("a header with an underscore", 400, headers={"x_api_key": "shop-new"}),
    Case("a token", 200, headers=bearer(_TOKEN)),
    Case("a token for another model", 403, "other-model", path="/models/dogs/predict", headers=bearer(_TOKEN)),
    Case("a token whose list has the value", 200, "", "/models/dogs/predict", bearer(ISSUER.token(groups=["a", "ml"]))),
    Case("a token whose list has it not", 403, "unknown-token", headers=bearer(ISSUER.token(groups=["a", "mlx"]))),
    Case("a token that lacks a claim", 403, "unknown-token", headers=bearer(ISSUER.token(azp="web"))),
    Case(
        "a scope that only begins so", 403, "unknown-token", headers=bearer(ISSUER.token(azp="web", scope="predicts"))
    ),
    Case(
        "another claim with several words",
        403,
        "unknown-token",
        headers=bearer(ISSUER.token(azp="x web", scope="predict")),
    ),
    Case("an expired token", 401, "invalid-token", headers=bearer(ISSUER.token(seconds=-DAY, **WEB))),
    Case("a token that does not expire", 401, "invalid-token", headers=bearer(ISSUER.token(exp=None, **WEB))),
    Case(
        "a token that is not valid yet",
        401,
        "invalid-token",
        headers=bearer(ISSUER.token(nbf=int(time.time() + DAY), **WEB)),
    ),
    Case("a token of another audience", 401, "invalid-token", headers=bearer(ISSUER.token(aud="other", **WEB))),
    Case("a token without an audience", 401, "invalid-token", headers=bearer(ISSUER.token(aud=None, **WEB))),
    Case(
        "a token of another issuer",
        401,
        "invalid-token",
        headers=bearer(ISSUER.token(iss="https://evil.example", **WEB)),
    ),
    Case("a token that another key signed", 401, "invalid-token", headers=bearer(OTHER.token(**WEB))),
    Case("a token with other claims", 401, "invalid-token", headers=bearer(_TAMPERED)),
    Case("a token without a signature", 401, "invalid-token", headers=bearer(unsigned(_TOKEN))),
    Case(
        "a token signed with the public key as a secret",
        401,
        "invalid-token",
        headers=bearer(ISSUER.token(header={"alg": "HS256", "kid": "one"}, **WEB)),
    ),
    Case("a token in the header of keys", 401, "unknown-key", headers=key(_TOKEN)),
    Case("a token in the query", 401, "no-credential", path=f"/models/iris/predict?access_token={_TOKEN}"),
    Case(
        "two tokens", 401, "several-credentials", headers=bearer(_TOKEN), twice=(("authorization", f"Bearer {_TOKEN}"),)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_who_can_reach_what(scene: Scene, case: Case) -> None:
    seen = scene.seen()
    answer = ask(scene.edge, case)
    assert (answer.status_code, answer.headers.get("www-authenticate") is not None) == (case.status, case.status == 401)
    if case.code:
        assert answer.json()["code"] == case.code
        assert answer.json()["status"] == case.status
        assert answer.json()["detail"] == answer.json()["error"]
    if case.status in (401, 403):
        assert scene.seen() == seen


def ask(edge: Edge, case: Case) -> httpx.Response:
    """httpx normalises paths, so the path is sent as it is written."""
    with edge.client() as client:
        request = client.build_request(case.method, "/", headers=[*case.headers.items(), *case.twice])
        request.url = request.url.copy_with(raw_path=case.path.encode())
        return client.send(request)


@pytest.mark.parametrize(
    "credential", [key("shop-new"), bearer("shop-new"), bearer(_TOKEN)], ids=["key", "bearer", "token"]
)
def test_no_credential_reaches_a_model(scene: Scene, credential: Mapping[str, str]) -> None:
    with scene.edge.client() as client:
        received = client.post("/models/iris/predict", headers=credential).json()["headers"]
    assert not {"x-api-key", "authorization", "x-fairlead-models"} & received.keys()
    assert not any("shop-new" in value or _TOKEN in value for value in received.values())


def test_the_control_plane_is_told_which_models_a_client_may_see(scene: Scene) -> None:
    with scene.edge.client() as client:
        told = {name: client.get("/models", headers=key(name)).json()["headers"] for name in ("shop-new", "ops-key")}
    assert told["shop-new"]["x-fairlead-models"] == "iris"
    assert "x-fairlead-models" not in told["ops-key"]


@pytest.mark.parametrize(("sent", "status"), [("", 401), ("x-api-key: shop-new\r\n", 200)])
def test_http_1_0_is_asked_for_a_key_too(scene: Scene, sent: str, status: int) -> None:
    head = f"POST /models/iris/predict HTTP/1.0\r\ncontent-length: 2\r\n{sent}\r\n{{}}"
    with socket.create_connection(("127.0.0.1", scene.edge.settings.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).decode().split()[1] == str(status)


@pytest.mark.parametrize(("sent", "status"), [("accept: */*", "401"), ("x-api-key: shop-new", "200")])
def test_http_2_is_asked_for_a_key_too(scene: Scene, sent: str, status: str) -> None:
    command = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_version}",
        "--http2-prior-knowledge",
        "-H",
        sent,
    ]
    done = subprocess.run(
        [*command, "-X", "POST", f"{scene.edge.url}/models/iris/predict"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{status} 2"


def test_a_page_of_an_allowed_origin_may_send_a_key_and_can_read_a_refusal(scene: Scene) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    with scene.edge.client() as client:
        preflight = client.options("/models/iris/predict", headers=asks)
        refused = client.post("/models/iris/predict", headers={"origin": ORIGIN})
        elsewhere = client.options("/models/iris/predict", headers={**asks, "origin": "https://evil.example"})
    assert preflight.status_code == 200
    assert {"authorization", "x-api-key"} <= set(preflight.headers["access-control-allow-headers"].split(", "))
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert elsewhere.status_code == 401


def test_the_access_log_has_clients_and_no_credential(scene: Scene) -> None:
    for value in ("shop-new", "secret-guess"):
        ask(scene.edge, Case("", 0, headers=key(value), path="/models/iris/predict?token=in-the-query"))
    time.sleep(0.3)  # Envoy writes its log every 100 ms
    text = (scene.edge.folder / "access.log").read_text()
    last = [json.loads(line)["client"] for line in text.splitlines()[-2:]]
    assert last == ["shop", "unknown"]
    assert not any(word in text for word in ("shop-new", "secret-guess", "in-the-query", _TOKEN))


def test_metrics_name_clients_of_the_file_and_one_for_all_others(scene: Scene) -> None:
    for number in range(20):
        ask(scene.edge, Case("", 0, headers=key(f"guess-{number}")))
    ask(scene.edge, Case("", 0, headers=key("ops-key")))
    text = httpx.get(f"http://127.0.0.1:{scene.edge.admin_port}/stats/prometheus", trust_env=False).text
    label, status, _ = GATEWAY_CLIENT_REQUESTS.labels
    clients = set(
        re.findall(rf'^{GATEWAY_CLIENT_REQUESTS.name}{{{label}="([^"]*)",{status}="\d+"}}', text, re.MULTILINE)
    )
    assert {"ops", "unknown"} <= clients <= {*ACCESS.clients, "fairlead", "unknown"}


def test_beyond_the_burst_a_client_gets_429_with_retry_after(scene: Scene) -> None:
    answers = [ask(scene.edge, Case("", 0, headers=key("batch-key"))) for _ in range(12)]
    counts = Counter(one.status_code for one in answers)
    assert counts[200] in (5, 6)  # a token may have come in between
    last = answers[-1]
    assert (last.status_code, last.headers["retry-after"], last.json()["code"]) == (429, "1", "over-limit")
    assert last.json()["detail"] == "client batch sends more requests than its limit allows; wait before the next one"
    assert ask(scene.edge, Case("", 0, headers=key("ops-key"))).status_code == 200


def test_a_limit_for_one_model_does_not_count_for_another(scene: Scene) -> None:
    def status(model: str) -> int:
        return ask(scene.edge, Case("", 0, path=f"/models/{model}/predict", headers=key("mixed-key"))).status_code

    assert [status("iris") for _ in range(4)] == [200, 200, 429, 429]
    assert [status("dogs") for _ in range(4)] == [200] * 4


def test_refusals_are_no_outcome_of_any_version(scene: Scene) -> None:
    """401, 403 and 429 change no counter that a rollout reads, and reach no version and no mirror."""
    assert ask(scene.edge, Case("", 0, headers=key("once-key"))).status_code == 200
    pattern = r"^cluster\.(split|aggregate|fallback|direct)~.*\.(upstream_rq|upstream_cx|retry|endpoint)"
    before, seen = stats(scene.edge, pattern), scene.seen()
    refused: Counter[int] = Counter()
    for _ in range(20):
        for case in (
            Case("", 0),
            Case("", 0, path="/models/dogs/predict", headers=key("shop-new")),
            Case("", 0, headers=key("once-key")),
        ):
            refused[ask(scene.edge, case).status_code] += 1
    assert refused == {401: 20, 403: 20, 429: 20}
    assert scene.seen() == seen
    ends = ("_total", "_completed", "xx", "_success", "_error", "_timeout")  # connections may close meanwhile
    after = {name: value for name, value in stats(scene.edge, pattern).items() if name.endswith(ends)}
    assert len(after) > 20
    assert after == {name: before.get(name, 0) for name in after}
