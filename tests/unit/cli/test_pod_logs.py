"""The logs of pods through the API: which pods are asked, and that no line is shown twice or lost."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from fairlead import errors
from fairlead.cli.pod_logs import GATEWAYS, PodLogs
from fairlead.store.kubernetes.kinds import Kind, Object

TIME = "2026-01-01T00:00:0"


class Pods:
    """An API server with the lines of some pods; it knows whole seconds only, as the real one."""

    def __init__(self, **lines: list[str]) -> None:
        self.lines = lines
        self.gateways: dict[str, list[str]] = {}
        self.selectors: list[str] = []

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        if selector == GATEWAYS:
            return [{"metadata": {"name": name}} for name in self.gateways], "1"
        self.selectors.append(selector)
        return [{"metadata": {"name": name}} for name in self.lines], "1"

    def read(self, path: str, query: Mapping[str, str]) -> bytes:
        pod = path.split("/")[-2]
        assert path == f"/api/v1/namespaces/prod/pods/{pod}/log"
        assert query["container"] == ("envoy" if pod in self.gateways else "model")
        lines = self.gateways[pod] if pod in self.gateways else self.lines[pod]
        if not lines:
            raise errors.Invalid("API server: container has not started")
        since = query.get("sinceTime", "")[:19]
        chosen = [line for line in lines if line[:19] >= since]
        return "\n".join(chosen[-int(query.get("tailLines", "1000")) :]).encode()


def line(fraction: str, text: str) -> str:
    return f"{TIME}{fraction}Z {json.dumps({'time': f'{TIME}{fraction}Z', 'message': text})}"


def messages(logs: PodLogs) -> list[str]:
    return [entry.fields["message"] for entry in logs.read()]


def test_lines_of_all_pods_are_in_order_of_time() -> None:
    pods = Pods(a=[line("1.1", "one"), line("3.1", "three")], b=[line("2.1", "two")])
    logs = PodLogs(pods, "prod", "iris", "1.0.0", 10)
    assert messages(logs) == ["one", "two", "three"]
    assert pods.selectors == ["fairlead.dev/model=iris,fairlead.dev/version=1.0.0"]


def test_following_shows_each_line_once_also_within_one_second() -> None:
    pods = Pods(a=[line("1.5", "one"), line("1.51", "two")], b=[])
    logs = PodLogs(pods, "prod", "iris", None, 10)
    assert messages(logs) == ["one", "two"]
    pods.lines["a"].append(line("1.510000001", "three"))
    pods.lines["b"].append(line("1.2", "started"))
    assert messages(logs) == ["started", "three"]
    assert messages(logs) == []


def test_the_limit_is_that_of_each_pod_at_the_first_reading() -> None:
    pods = Pods(a=[line(f"1.{at}", str(at)) for at in range(1, 9)])
    assert messages(PodLogs(pods, "prod", "iris", None, 3)) == ["6", "7", "8"]


def test_without_a_pod_the_error_says_where_it_looked() -> None:
    with pytest.raises(errors.NotFound, match=r"no pod of iris 2\.0\.0 is in namespace prod"):
        PodLogs(Pods(), "prod", "iris", "2.0.0", 10).read()


def test_the_gateways_lines_about_the_model_are_among_those_of_its_pods() -> None:
    def request(fraction: str, route: str, cluster: str) -> str:
        fields = {"time": f"{TIME}{fraction}Z", "request_id": "r", "status": 200, "route": route, "cluster": cluster}
        return f"{TIME}{fraction}Z {json.dumps(fields)}"

    pods = Pods(a=[line("1.1", "one"), line("3.1", "three")])
    pods.gateways["edge"] = [
        request("2.1", "iris:split:predict", "split~default~iris~1.0.0"),
        request("2.2", "iris-2:split:predict", "split~default~iris-2~1.0.0"),
        f"{TIME}2.3Z what Envoy itself says",
    ]
    logs = PodLogs(pods, "prod", "iris", None, 10)
    found = logs.read()
    assert [one.fields["message"] for one in found] == ["one", "request at the gateway", "three"]
    assert (found[1].source, found[1].fields["pod"]) == ("gateway", "edge")
    assert logs.read() == []
    of_another_version = PodLogs(pods, "prod", "iris", "2.0.0", 10).read()
    assert [one.source for one in of_another_version] == ["a", "a"]


class Shared(Pods):
    """The pods of a team whose platform is in another namespace, which the team may not see."""

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        if namespace == "serving":
            raise errors.Refused("API server: pods is forbidden")
        return super().list(kind, namespace, selector)


def test_who_may_not_see_the_gateways_of_a_shared_platform_sees_the_models_own_lines() -> None:
    logs = PodLogs(Shared(a=[line("1.1", "one")]), "prod", "iris", None, 10, platform="serving")
    assert messages(logs) == ["one"]
