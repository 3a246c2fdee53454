"""The gateway's own answers: readiness, HTTP/1.0, hosts, and what it says about requests that it refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.platform import ControlSettings, GatewaySettings, RunningPlatform
from fairlead.contracts.table import Table
from fairlead.control.app import settings_of
from fairlead.routing.snapshot import Routed
from integration.routing.backends import Backends, running_backends
from integration.routing.edge import V1, Edge, an_edge, serving

PREDICT = "POST /models/iris/predict HTTP/1.0\r\ncontent-length: 2\r\n"


@contextmanager
def a_gateway(folder: Path, backends: Backends, hosts: Sequence[str] = ()) -> Iterator[Edge]:
    """A gateway with the hosts of `fairlead up`, and `hosts`."""
    asked = GatewaySettings(hosts=tuple(hosts))
    facts = RunningPlatform(pid=1, gateway=asked, control=ControlSettings(), admin_port=9901)
    with an_edge(folder, hosts=settings_of(facts, folder).hosts) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        with serving(edge, Routed("iris", 1, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)}))):
            yield edge


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    with running_backends() as backends, a_gateway(folder, backends, ["models.example", "*.corp.example"]) as made:
        yield made


@pytest.fixture
def client(edge: Edge) -> Iterator[httpx.Client]:
    with edge.client() as made:
        yield made


def raw(edge: Edge, head: str, body: str = "") -> tuple[str, str]:
    """Send this text. Returns the first line of the answer, and its body."""
    with socket.create_connection(("127.0.0.1", edge.settings.port), timeout=5) as connection:
        connection.sendall(f"{head}\r\n{body}".encode())
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    first, _, content = received.decode().partition("\r\n")
    return first, content.partition("\r\n\r\n")[2]


class TestHttp10:
    def test_a_request_is_answered(self, edge: Edge) -> None:
        first, body = raw(edge, f"{PREDICT}host: localhost\r\n", "{}")
        assert first == "HTTP/1.0 200 OK"
        assert json.loads(body)["version"] == V1.version

    def test_a_request_need_not_name_a_host(self, edge: Edge) -> None:
        assert raw(edge, PREDICT, "{}")[0] == "HTTP/1.0 200 OK"


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "models.example", "iris.corp.example"]
    )
    @pytest.mark.parametrize("port", ["", ":8080", ":1"])
    def test_loopback_and_the_hosts_of_the_settings_are_answered(
        self, client: httpx.Client, host: str, port: str
    ) -> None:
        assert client.post("/models/iris/predict", headers={"host": host + port}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "corp.example",
            ".corp.example",
            "[::2]",
        ],
    )
    @pytest.mark.parametrize("path", ["/models/iris/predict", "/v2/models/iris/infer", "/models", "/nowhere"])
    def test_a_request_for_another_host_is_refused_with_a_hint(
        self, client: httpx.Client, host: str, path: str
    ) -> None:
        answer = client.post(path, headers={"host": host})
        assert (answer.status_code, answer.json()["title"]) == (421, "Misdirected Request")
        assert answer.json()["error"] == (
            "this gateway answers for localhost, 127.0.0.1, [::1], models.example, *.corp.example; "
            "to add a host, list it in gateway.hosts"
        )

    def test_with_a_star_every_host_is_answered(self, tmp_path: Path, backends: Backends) -> None:
        with a_gateway(tmp_path, backends, ["*"]) as edge, edge.client() as client:
            assert client.post("/models/iris/predict", headers={"host": "evil.example"}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/v2/health/live", "/v2/health/ready", "/v2/models/iris/ready"])
def test_liveness_and_readiness_are_json(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert bool(answer.content) is (method == "GET")


@pytest.mark.parametrize("path", ["/v2", "/v2?verbose=1", "/v2/repository/index"])
def test_what_the_control_plane_does_not_answer_is_json_under_v2(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("GET /v2/health/live HTTP/1.1\r\n", "the request has no Host header"),
        ("GET /v2/%2fhealth HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", "the path has an escaped slash"),
        (
            "GET /models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\na_b: 1\r\n",
            "the name of a header has an underscore",
        ),
        ("hello\r\n", "this is not HTTP"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_request(edge: Edge, head: str, says: str) -> None:
    first, body = raw(edge, head)
    assert first == "HTTP/1.1 400 Bad Request"
    document = json.loads(body)
    assert (document["title"], document["status"]) == ("Bad Request", 400)
    assert document["detail"].startswith(says)
    assert document["error"] == document["detail"]


def test_a_draining_gateway_says_so(tmp_path: Path, backends: Backends) -> None:
    with a_gateway(tmp_path, backends) as edge, edge.client() as client:
        httpx.post(f"http://127.0.0.1:{edge.admin_port}/healthcheck/fail", trust_env=False).raise_for_status()
        answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.json()["error"] == "the gateway is draining; another one answers"
