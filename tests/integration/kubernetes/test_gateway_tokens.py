"""Gateways prove which pod they are: real tokens of a real API server, with the rights that the chart grants."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from fairlead.control.gateway_tokens import AUDIENCE, GatewayTokens
from fairlead.errors import FairleadError
from fairlead.routing.envoy.sources import TOKEN_HEADER
from fairlead.routing.publish import server
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from integration.routing.backends import Backends, running_backends
from integration.routing.edge import V1, V2, iris, until
from integration.routing.replicas import Gateways, Replica, some_gateways
from support.background import repeat_in_background
from support.cluster.lifecycle import Cluster
from support.processes import wait_until

ROLES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[3] / "charts/platform/files/roles.yaml").read_text()
)
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
GATEWAY, ANOTHER = "fairlead-gateway", "default"


@dataclass
class Accounts:
    """A namespace with the gateways' account, another one, and pods of both."""

    api: Api
    namespace: str
    cluster: Cluster
    uids: dict[str, str] = field(default_factory=dict)

    def path(self, plural: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def names(self, plural: str) -> set[str]:
        return {one["metadata"]["name"] for one in self.api.request("GET", self.path(plural))["items"]}

    def pod(self, name: str, account: str = GATEWAY) -> None:
        spec = {"schedulerName": "nobody", "serviceAccountName": account, "containers": [{"name": "a", "image": "a"}]}
        made = self.api.request("POST", self.path("pods"), body={"metadata": {"name": name}, "spec": spec})
        self.uids[name] = made["metadata"]["uid"]

    def delete(self, pod: str) -> None:
        self.api.request("DELETE", self.path("pods", pod), query={"gracePeriodSeconds": "0"})

    def token(self, pod: str | None, *, account: str = GATEWAY, audiences: tuple[str, ...] = (AUDIENCE,)) -> str:
        """What the kubelet asks for, and puts into the pod."""
        bound = (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": self.uids[pod]}} if pod else {}
        )
        body = {"spec": {"audiences": list(audiences), "expirationSeconds": 600, **bound}}
        path = f"{self.path('serviceaccounts', account)}/token"
        return str(self.api.request("POST", path, body=body)["status"]["token"])

    def signed(self, pod: str, *, key: Path, **changes: object) -> str:
        """A token of this pod, with some claims changed, signed with this key (ES256)."""
        head, payload, _ = self.token(pod).split(".")
        claims = {**json.loads(base64.urlsafe_b64decode(payload + "==")), **changes}
        said = f"{head}.{_encoded(json.dumps(claims).encode())}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(key)]
        der = subprocess.run(command, input=said.encode(), capture_output=True, check=True).stdout
        return f"{said}.{_encoded(_raw(der))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _raw(der: bytes) -> bytes:
    """An ECDSA signature as JWT writes it: two numbers of 32 bytes, instead of DER."""
    first = der[4 : 4 + der[3]]
    second = der[6 + der[3] :]
    return b"".join(one.lstrip(b"\0").rjust(32, b"\0") for one in (first, second))


@pytest.fixture
def accounts(api: Api, namespace: str, prepared: Cluster) -> Accounts:
    made = Accounts(api, namespace, prepared)
    api.request("POST", made.path("serviceaccounts"), body={"metadata": {"name": GATEWAY}})
    wait_until(lambda: {GATEWAY, ANOTHER} <= made.names("serviceaccounts"), "the accounts")
    for name in ("edge-1", "edge-2"):
        made.pod(name)
    made.pod("model", ANOTHER)
    return made


@pytest.fixture
def checking(accounts: Accounts) -> Iterator[Api]:
    """The API server as the control plane that has only the right that the chart's ClusterRole grants."""
    user, name = f"system:serviceaccount:{accounts.namespace}:fairlead-control-plane", f"check-{accounts.namespace}"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    metadata = {"metadata": {"name": name}}
    accounts.api.request("POST", f"{RBAC}/clusterroles", body={**metadata, "rules": ROLES["gatewayTokens"]})
    binding = {**metadata, "roleRef": reference, "subjects": [subject]}
    accounts.api.request("POST", f"{RBAC}/clusterrolebindings", body=binding)
    client = accounts.cluster.client_of(user)
    api = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}
    wait_until(lambda: _allowed(api, review), "the right is at work")
    yield api
    api.close()
    for kind in ("clusterrolebindings", "clusterroles"):
        accounts.api.request("DELETE", f"{RBAC}/{kind}/{name}")


def _allowed(api: Api, review: dict[str, Any]) -> bool:
    try:
        api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body=review)
    except FairleadError:
        return False
    return True


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends() as running:
        yield running


@pytest.fixture
def gateways(tmp_path: Path, backends: Backends) -> Iterator[Gateways]:
    with some_gateways(tmp_path) as made:
        for ref in (V1, V2):
            made.endpoints["default", "iris", ref] = [backends.start(ref.version).endpoint]
        yield made


@pytest.fixture
def replica(gateways: Gateways, accounts: Accounts, checking: Api, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """A replica that has published revision 1, and refuses quickly."""
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.05)
    account = f"system:serviceaccount:{accounts.namespace}:{GATEWAY}"
    made = gateways.replica(tokens=GatewayTokens(checking, account))
    made.publisher.want(gateways.compiled(iris(1, 0)))
    made.publisher.step()
    return made


def ask(replica: Replica, token: str | None, node: str = "edge-1") -> httpx.Response:
    headers = {} if token is None else {TOKEN_HEADER: token}
    url = f"http://127.0.0.1:{replica.port}/v3/discovery:routes"
    return httpx.post(url, json={"node": {"id": node}}, headers=headers, trust_env=False, timeout=10)


def test_only_the_gateways_own_pod_gets_its_configuration(
    accounts: Accounts, replica: Replica, api: Api, tmp_path: Path
) -> None:
    """Before, each of these got the tables, in the name of edge-1."""
    foreign = tmp_path / "foreign.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", foreign], check=True)
    assert accounts.cluster.plan is not None
    own = accounts.cluster.plan.certificates / "sa.key"
    gone = accounts.token("edge-2")
    accounts.delete("edge-2")
    good = accounts.token("edge-1")
    head, payload, signature = good.split(".")
    unsigned = _encoded(b'{"alg":"none"}')
    impostors = {
        "no token": None,
        "an empty token": "",
        "no JWT": "secret",
        "a token without its signature": f"{head}.{payload}.",
        "another signature": f"{head}.{payload}.{signature[::-1]}",
        "a token that another key signs": accounts.signed("edge-1", key=foreign),
        "a token that signs nothing": f"{unsigned}.{payload}.",
        "a token for the API server": accounts.token("edge-1", audiences=(ISSUER,)),
        "a token for somebody else": accounts.token("edge-1", audiences=("vault",)),
        "a model's token": accounts.token("model", account=ANOTHER),
        "a token of no pod": accounts.token(None),
        "the token of a pod that is gone": gone,
    }
    got = {who: ask(replica, token) for who, token in impostors.items()}
    assert {who: answer.status_code for who, answer in got.items()} == dict.fromkeys(impostors, 401)
    assert all("resources" not in answer.json() for answer in got.values())
    assert ask(replica, accounts.signed("edge-1", key=own)).status_code == 200, "the key is the cluster's"
    expired = ask(replica, accounts.signed("edge-1", key=own, exp=int(time.time()) - 1))
    assert (expired.status_code, expired.json()["detail"]) == (401, "the token has expired")
    assert ask(replica, good, node="edge-2").status_code == 403
    assert ask(replica, good).json()["resources"]


def test_a_gateway_of_another_namespace_is_refused(accounts: Accounts, replica: Replica, api: Api) -> None:
    other = f"{accounts.namespace}-other"
    api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": other}})
    theirs = Accounts(api, other, accounts.cluster)
    api.request("POST", theirs.path("serviceaccounts"), body={"metadata": {"name": GATEWAY}})
    theirs.pod("edge-1")
    refused = ask(replica, theirs.token("edge-1"))
    assert (refused.status_code, accounts.namespace in refused.json()["detail"]) == (401, True)
    api.request("DELETE", f"/api/v1/namespaces/{other}")


def test_a_control_plane_without_the_right_answers_503_and_says_what_is_missing(
    accounts: Accounts, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "THROTTLE_HOLD_S", 0.05)
    nobody = accounts.cluster.client_of("nobody")
    api = Api(kubeconfig.load(environment={"KUBECONFIG": str(nobody.kubeconfig)}))
    tokens = GatewayTokens(api, f"system:serviceaccount:{accounts.namespace}:{GATEWAY}")
    answer = ask(gateways.replica(tokens=tokens), accounts.token("edge-1"))
    api.close()
    assert answer.status_code == 503
    assert "does not check tokens for the control plane" in answer.json()["detail"]


class Mounted:
    """A pod's token as the kubelet writes it: a link to a folder that is replaced at once."""

    def __init__(self, folder: Path, token: str) -> None:
        self._folder, self._number = folder, 0
        self.path = folder / "token"
        folder.mkdir()
        self.replace(token)
        self.path.symlink_to(Path("..data") / "token")

    def replace(self, token: str) -> None:
        self._number += 1
        new, link = self._folder / f"..{self._number}", self._folder / "..data_tmp"
        new.mkdir()
        (new / "token").write_text(token)
        link.symlink_to(new.name)
        link.rename(self._folder / "..data")


def test_new_tokens_under_traffic_fail_no_request_and_delay_no_table(
    accounts: Accounts, gateways: Gateways, replica: Replica, tmp_path: Path
) -> None:
    mounted = Mounted(tmp_path / "secrets", accounts.token("edge-1"))
    gateways.add("edge-1", replica.port, token=mounted.path)
    replica.settle(gateways.compiled(iris(2, 1000)))
    seen: Counter[object] = Counter()

    with gateways.client() as client:

        def predict() -> None:
            answer = client.post("/models/iris/predict", json={})
            seen[answer.status_code if answer.status_code == 200 else answer.text] += 1

        with repeat_in_background(predict, pause_s=0.005):
            for number in range(5):
                before = seen[200]
                mounted.replace(accounts.token("edge-1"))
                assert replica.settle(gateways.compiled(iris(3 + number, 1000 + number))) < 5
                ask(replica, "an impostor's", node="edge-1")
                until(lambda before=before: seen[200] > before + 5)  # type: ignore[misc]
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.7"
    assert set(seen) == {200}
    assert Counter(answer for _, answer in replica.answers)["refused"] == 5, "only the impostor"


def test_a_gateway_whose_token_is_wrong_keeps_what_it_has_and_recovers_with_a_good_one(
    accounts: Accounts, gateways: Gateways, replica: Replica, tmp_path: Path
) -> None:
    good = accounts.token("edge-1")
    mounted = Mounted(tmp_path / "secrets", good)
    gateways.add("edge-1", replica.port, token=mounted.path)
    replica.settle(gateways.compiled(iris(2, 1000)))
    mounted.replace(accounts.token("model", account=ANOTHER))
    until(lambda: ("rds", "refused") in replica.answers)  # before, one with the good token may still be held
    replica.publisher.want(gateways.compiled(iris(3, 2000)))
    with repeat_in_background(replica.publisher.step, pause_s=0.02), gateways.client() as client:
        assert client.post("/models/iris/predict").headers["x-route-revision"] == "iris.2"
        mounted.replace(accounts.token("edge-1"))
        until(lambda: client.post("/models/iris/predict").headers["x-route-revision"] == "iris.3")
