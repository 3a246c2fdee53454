"""Commands with the namespace of a model that the platform of another namespace serves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fairlead.cli import cluster, main
from fairlead.contracts.revision import Cause
from fairlead.store.kubernetes import KubernetesStore, kubeconfig
from fairlead.store.kubernetes.kinds import ACTIONS, ROUTES, Kind, Object
from unit.store.builders import a_spec, successor
from unit.store.kubernetes.memory_api import MemoryApi


class ServedCluster(MemoryApi):
    """Each of two teams has one model, and a control plane accepts every request at once."""

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
        return super().request(method, path, **more)

    def spec(self, namespace: str, model: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.get(ROUTES, namespace, model)["spec"]
        return found


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
