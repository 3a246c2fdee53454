"""The store as Kubernetes objects: the shared suite, read from caches and read directly, against a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.contracts.action import Outcome
from fairlead.store.base import Store
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.actions import MAX_FINISHED_ACTIONS
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ROUTES, Kind, Object
from unit.store.suite import NOW, StoreSuite, a_window, an_action, routed, successor


class TestInformedStore(StoreSuite):
    """A control plane's."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Iterator[KubernetesStore]:
        with KubernetesStore(api, namespace) as store:
            store.wait_until_loaded(10)
            yield store

    def test_answered_actions_go_in_the_end_and_open_ones_stay(self, store: KubernetesStore) -> None:
        routed(store, "iris")
        for number in range(MAX_FINISHED_ACTIONS + 2):
            store.create_action(an_action(f"a{number}", at=number))
        for number in range(MAX_FINISHED_ACTIONS + 1):
            store.finish_action(f"a{number}", Outcome.REFUSED)
        store.prune("iris", keep=10, now=NOW)
        left = [action.name for action in store.actions("iris")]
        assert left == [f"a{number}" for number in range(1, MAX_FINISHED_ACTIONS + 2)]

    def test_an_open_actions_actor_is_verified_where_the_policy_is(self, store: KubernetesStore) -> None:
        routed(store, "iris")
        assert store.create_action(an_action()).actor_verified
        store.finish_action("a1", Outcome.ACCEPTED, revision=1)
        assert store.action("a1").actor_verified

    def test_a_window_and_the_status_it_waits_for_are_one_request(
        self, api: Api, namespace: str, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        routed(store, "iris")
        sent, patch = [], api.patch

        def counting(kind: Kind, where: str, name: str, body: Object, *, part: str = "") -> Object:
            sent.append(part)
            return patch(kind, where, name, body, part=part)

        monkeypatch.setattr(api, "patch", counting)
        store.add_window("iris", a_window(1), at_once=False)
        assert sent == []
        store.set_status("iris", {"phase": "Canary"})
        assert sent == ["status"]
        assert KubernetesStore.direct(api, namespace).windows("iris") == [a_window(1)]

    def test_windows_of_an_earlier_head_leave_with_the_next_status(
        self, api: Api, namespace: str, store: KubernetesStore
    ) -> None:
        routed(store, "iris").add_window("iris", a_window(1))
        store.append(successor(None))
        store.set_status("iris", {"phase": "Canary"})
        assert "analysis" not in api.get(ROUTES, namespace, "iris")["status"]


class TestDirectStore(StoreSuite):
    """A command's."""

    windows = 310
    """Enough to merge, and to merge what was merged. Each waits 50 ms for the ledger; no command adds any."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Store:
        return KubernetesStore.direct(api, namespace)
