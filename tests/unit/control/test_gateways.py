import logging
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.contracts.gateway import GatewaySite
from fairlead.control.gateways import GatewayPods
from fairlead.errors import Unavailable

REJECTED = b"""[2026-01-01][warning][config] REST config for /v3/discovery:routes rejected: Invalid duration
seconds: -1

"""


class Listed:
    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.reachable = True
        self.asked: list[Mapping[str, str]] = []

    def request(self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_: Any) -> dict[str, Any]:
        assert (method, path) == ("GET", "/api/v1/namespaces/ml/pods")
        self.asked.append(query or {})
        if not self.reachable:
            raise Unavailable("no answer")
        return {"items": self.pods}


def pod(name: str, address: str | None = "10.0.0.1", phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"phase": phase, **({"podIP": address} if address else {})}}


@pytest.fixture
def listed() -> Listed:
    return Listed()


def pods(listed: Listed, log: bytes | None = REJECTED) -> GatewayPods:
    def tail(name: str) -> bytes:
        if log is None:
            raise Unavailable("no log")
        return log

    return GatewayPods(listed, "ml", "component=gateway", tail=tail, log=logging.getLogger("test"))


def test_gateways_are_the_pods_that_have_an_address(listed: Listed) -> None:
    listed.pods = [
        pod("b"),
        pod("a", "10.0.0.2"),
        pod("c", None),
        pod("d", phase="Failed"),
        pod("e", phase="Succeeded"),
    ]
    found = pods(listed)
    before = found.loaded
    found.list_pods()
    assert (before, found.loaded) == (False, True)
    assert found.gateways() == (GatewaySite("a", "10.0.0.2", 9901), GatewaySite("b", "10.0.0.1", 9901))
    assert listed.asked[0]["labelSelector"] == "component=gateway"


def test_while_the_api_server_does_not_answer_the_last_list_stays(listed: Listed) -> None:
    listed.pods = [pod("a")]
    found = pods(listed)
    found.list_pods()
    listed.reachable = False
    with pytest.raises(Unavailable):
        found.list_pods()
    assert [site.name for site in found.gateways()] == ["a"]


def test_the_reason_for_a_rejection_is_in_the_pods_log(listed: Listed) -> None:
    assert pods(listed).rejection_reason("a") == "Invalid duration"
    assert pods(listed, b"all is well").rejection_reason("a") is None
    assert pods(listed, None).rejection_reason("a") is None
