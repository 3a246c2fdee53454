"""Commands with the namespace of a model that the platform of another namespace serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead import errors
from fairlead.cli import cluster, main
from fairlead.contracts import labels
from fairlead.contracts.access import Quota
from fairlead.contracts.quota_use import QuotaUse
from fairlead.contracts.revision import Cause
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.kinds import ACTIONS, LEASES, ROUTES, Kind, Object
from unit.store.builders import a_spec, successor
from unit.store.kubernetes.memory_api import MemoryApi


class ServedCluster(MemoryApi):
    """Each of two teams has one model, and a control plane accepts every request at once. `answers` are by path."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Object | Exception] = {}
        self.asked: list[str] = []

    def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        found = super().create(kind, namespace, body, dry_run=dry_run)
        if kind is ACTIONS:
            found = self.put(kind, namespace, found["metadata"]["name"], {**found, "status": {"outcome": "accepted"}})
        return found

    def list_whole(
        self, kind: Kind, namespace: str, selector: str = "", *, fields: str = "", page: int = 50
    ) -> Iterator[Object]:
        _, _, wanted = selector.partition("=")
        return (one for one in self.list(kind, namespace)[0] if one["spec"].get("route") == wanted)

    def request(self, method: str, path: str, **more: Any) -> Object:
        if path.endswith("/selfsubjectreviews"):
            return {"status": {"userInfo": {"username": "ada"}}}
        self.asked.append(path)
        if (answer := self.answers.get(path)) is not None:
            if isinstance(answer, Exception):
                raise answer
            return answer
        return super().request(method, path, **more)

    def spec(self, namespace: str, model: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.get(ROUTES, namespace, model)["spec"]
        return found


NOBODY = "no platform serves namespace team-b: no control plane has a Lease there, so nobody follows its routes"
INSTALL = (
    "install the platform's chart there, or list the namespace in `namespaces` of the platform that should serve it"
)


def lease(name: str, **more: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata = {"name": name, "labels": {labels.LEASE: "leader", **more}}
    return {"metadata": metadata, "spec": {"holderIdentity": "one", "renewTime": now}}


SHARED = {labels.PLATFORM: "serving", labels.INSTANCE: "edge"}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> ServedCluster:
    api = ServedCluster()
    for namespace, model in (("team-a", "iris"), ("team-b", "churn")):
        spec = a_spec(model=model).model_dump(mode="json", by_alias=True, exclude_defaults=True)
        api.put(ROUTES, namespace, model, {"spec": spec})
        first = successor(None, route=model, cause=Cause.CREATED).model_copy(update={"namespace": namespace})
        KubernetesStore.direct(api, namespace).append(first)
    monkeypatch.setattr(cluster, "Api", lambda _: api)
    monkeypatch.setattr(kubeconfig, "load", lambda _: None)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return api


class Terminal:
    """Runs the program with arguments, as a shell does."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = patch, capsys

    def run(self, *words: str) -> tuple[object, str, str]:
        self._patch.setattr("sys.argv", ["fairlead", *words])
        code: object = 0
        try:
            main.main()
        except SystemExit as ended:
            code = ended.code or 0
        done = self._capsys.readouterr()
        return code, done.out, done.err

    def shown(self, *words: str) -> str:
        code, out, err = self.run(*words)
        assert code == 0, err
        return out


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_release_changes_the_route_of_that_namespace(api: ServedCluster, terminal: Terminal) -> None:
    shown = terminal.shown("release", "churn", "1.1.0", "-n", "team-b", "--json")
    assert json.loads(shown)["namespace"] == "team-b"
    assert api.spec("team-b", "churn")["target"]["version"] == "1.1.0"
    assert api.spec("team-a", "iris")["target"]["version"] == "1.0.0"


def test_rollback_asks_in_that_namespace(api: ServedCluster, terminal: Terminal) -> None:
    terminal.shown("rollback", "churn", "-n", "team-b")
    [(namespace, action)] = [
        (where, one) for (plural, where, _), one in api.objects.items() if plural == ACTIONS.plural
    ]
    assert (namespace, action["spec"]["route"], action["spec"]["actor"]) == ("team-b", "churn", "ada")


def test_history_and_explain_read_the_ledger_of_that_namespace(api: ServedCluster, terminal: Terminal) -> None:
    assert "churn.1" in terminal.shown("history", "churn", "-n", "team-b")
    assert "the chain holds" in terminal.shown("history", "churn", "--verify", "-n", "team-b")
    assert "1.0.0" in terminal.shown("explain", "churn", "-n", "team-b")


@pytest.mark.parametrize("words", [("release", "churn", "1.1.0"), ("rollback", "churn"), ("history", "churn")])
def test_a_model_of_another_team_is_not_found(api: ServedCluster, terminal: Terminal, words: tuple[str, ...]) -> None:
    code, _, said = terminal.run(*words, "-n", "team-a")
    assert code != 0
    assert "there is no route 'churn'" in said
    assert "routes: iris" in said
    assert api.spec("team-b", "churn")["target"]["version"] == "1.0.0"


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("words", [("status",), ("status", "churn"), ("release", "churn", "1.1.0")], ids=" ".join)
def test_a_namespace_that_no_platform_serves_is_told_with_what_to_do(
    terminal: Terminal, words: tuple[str, ...]
) -> None:
    shown = " ".join(terminal.shown(*words, "-n", "team-b").split())
    assert NOBODY in shown
    assert INSTALL in shown


def test_a_script_reads_it_as_the_reason_why_the_state_is_old(api: ServedCluster, terminal: Terminal) -> None:
    [shown] = json.loads(terminal.shown("status", "-n", "team-b", "--json"))
    assert (shown["stale"], shown["asOf"]) == (NOBODY, None)
    api.put(LEASES, "team-b", "edge-control-plane.serving", lease("edge-control-plane.serving", **SHARED))
    [shown] = json.loads(terminal.shown("status", "-n", "team-b", "--json"))
    assert shown["stale"] is None


def test_what_clients_have_used_is_that_of_the_platform_which_serves_the_namespace(
    api: ServedCluster, terminal: Terminal
) -> None:
    code, _, said = terminal.run("clients", "-n", "team-b")
    assert (code, NOBODY in said, INSTALL in said) == (6, True, True)
    api.put(LEASES, "team-b", "edge-control-plane.serving", lease("edge-control-plane.serving", **SHARED))
    use = QuotaUse(clients={}, quotas={"shop": Quota(day=10)}, gateways={})
    data = {"use.json": use.model_dump_json(by_alias=True)}
    api.answers["/api/v1/namespaces/serving/configmaps/edge-quotas"] = {
        "metadata": {"name": "edge-quotas"},
        "data": data,
    }
    assert "shop" in terminal.shown("clients", "-n", "team-b")


def test_the_platform_of_its_own_namespace_is_known_by_the_name_of_its_lease(
    api: ServedCluster, terminal: Terminal
) -> None:
    api.put(LEASES, "team-a", "mine-control-plane", lease("mine-control-plane"))
    api.answers["/api/v1/namespaces/team-a/configmaps/mine-quotas"] = {"metadata": {"name": "mine-quotas"}}
    assert terminal.shown("clients", "-n", "team-a") == "no client has a quota\n"
    assert api.asked[-1] == "/api/v1/namespaces/team-a/configmaps/mine-quotas"


def test_who_may_not_read_it_is_told_whose_it_is(api: ServedCluster, terminal: Terminal) -> None:
    api.put(LEASES, "team-b", "edge-control-plane.serving", lease("edge-control-plane.serving", **SHARED))
    api.answers["/api/v1/namespaces/serving/configmaps/edge-quotas"] = errors.Refused("configmaps is forbidden")
    code, _, said = terminal.run("clients", "-n", "team-b")
    assert code == 4
    assert "you may not read what clients have used, the ConfigMap edge-quotas in namespace serving" in said
    assert "lists people in its value `roles`" in said
