"""The gateway reads an issuer's public keys over https, and trusts only the authorities that it is told."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.access import Access
from fairlead.contracts.table import Table
from fairlead.routing.snapshot import Guard, Routed
from integration.routing.backends import Backends
from integration.routing.edge import V1, Edge, an_edge, serving
from integration.routing.tokens import Signer
from support.background import serve_in_background
from support.cluster.certificates import Authority

ISSUER = Signer(3, bits=1024)


class Keys(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(ISSUER.jwks).encode()
        self.send_response(200 if self.path == "/jwks.json" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def issuer(authority: Authority, host: str) -> Iterator[str]:
    """Serves the keys with a certificate for `host`. Returns their address at localhost."""
    certificate, key = authority.issue("issuer", hosts=[host])
    server = HTTPServer(("127.0.0.1", 0), Keys)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve_in_background(server):
        yield f"https://localhost:{server.server_port}/jwks.json"


@contextmanager
def gateway(folder: Path, backends: Backends, url: str, authorities: Path) -> Iterator[Edge]:
    tokens = [{"issuer": "https://login.example", "audiences": ["models"], "jwksUrl": url, "caFile": str(authorities)}]
    access = Access.model_validate({"clients": {"web": {"claims": {"azp": "web"}}}, "tokens": tokens})
    with an_edge(folder, guard=Guard(access)) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start(V1.version).endpoint]
        with serving(edge, Routed("iris", 1, Table.model_validate({"model": "iris", "stable": V1, "pins": (V1,)}))):
            yield edge


def status(edge: Edge) -> tuple[int, str]:
    with edge.client() as client:
        headers = {"authorization": f"Bearer {ISSUER.token(azp='web')}"}
        answer = client.post("/models/iris/predict", headers=headers)
        return answer.status_code, answer.json().get("detail", "")


def test_a_token_is_verified_with_the_keys_that_its_issuer_publishes(tmp_path: Path, backends: Backends) -> None:
    authority = Authority(tmp_path / "authority").create()
    with (
        issuer(authority, "localhost") as url,
        gateway(tmp_path, backends, url, authority.certificate) as edge,
    ):
        assert status(edge) == (200, "")


@pytest.mark.parametrize("wrong", ["host", "authority"])
def test_keys_of_a_server_that_cannot_prove_to_be_the_issuers_are_not_used(
    tmp_path: Path, backends: Backends, wrong: str
) -> None:
    authority = Authority(tmp_path / "authority").create()
    trusted = Authority(tmp_path / "other").create() if wrong == "authority" else authority
    with (
        issuer(authority, "evil.example" if wrong == "host" else "localhost") as url,
        gateway(tmp_path, backends, url, trusted.certificate) as edge,
    ):
        assert status(edge) == (401, "the token is not accepted: Jwks remote fetch is failed")
