"""The Kubernetes store on a real API server: the shared suite, with caches and with direct reads."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from fairlead.contracts.action import Outcome
from fairlead.contracts.status import Condition, Reason, Status
from fairlead.store.base import Store
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.actions import MAX_FINISHED_ACTIONS
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ROUTES, Kind, Object
from fairlead.store.kubernetes.lease import Lease
from unit.store.builders import NOW, REF, a_window, an_action, routed, successor
from unit.store.suite import StoreSuite


class TestCachedStore(StoreSuite):
    """The store of a control plane, with caches."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Iterator[KubernetesStore]:
        with KubernetesStore(api, namespace) as store:
            store.wait_until_loaded(10)
            yield store

    def test_old_finished_actions_are_deleted_and_pending_ones_stay(self, store: KubernetesStore) -> None:
        routed(store, "iris")
        for number in range(MAX_FINISHED_ACTIONS + 2):
            store.create_action(an_action(f"a{number}", at=number))
        for number in range(MAX_FINISHED_ACTIONS + 1):
            store.finish_action(f"a{number}", Outcome.REFUSED)
        store.prune("iris", keep=10, now=NOW)
        left = [action.name for action in store.actions("iris")]
        assert left == [f"a{number}" for number in range(1, MAX_FINISHED_ACTIONS + 2)]

    def test_the_actor_of_a_pending_action_is_verified_with_the_policy(self, store: KubernetesStore) -> None:
        routed(store, "iris")
        assert store.create_action(an_action()).actor_verified
        store.finish_action("a1", Outcome.ACCEPTED, revision=1)
        assert store.action("a1").actor_verified

    def test_a_pending_window_and_the_status_are_written_in_one_request(
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

    def test_windows_of_an_earlier_head_are_removed_with_the_next_status(
        self, api: Api, namespace: str, store: KubernetesStore
    ) -> None:
        routed(store, "iris").add_window("iris", a_window(1))
        store.append(successor(None))
        store.set_status("iris", {"phase": "Canary"})
        assert "analysis" not in api.get(ROUTES, namespace, "iris")["status"]

    def test_going_down_and_serving_again_are_one_event_each(
        self, api: Api, namespace: str, store: KubernetesStore
    ) -> None:
        def write(*, ready: bool, message: str) -> None:
            reason = Reason.SERVING if ready else Reason.NOTHING_READY
            one = Condition(type="Ready", status=ready, reason=reason, message=message, since=NOW)
            status = Status(route="iris", observed_generation=1, target=REF, stable=REF, conditions=(one,))
            store.set_status("iris", status.to_json())

        routed(store, "iris")
        write(ready=True, message="1.0.0 serves")
        for message in ("1.0.0 has no ready instance", "1.0.0 has no ready instance; 1.1.0 is ready"):
            write(ready=False, message=message)
            write(ready=False, message=message)
        write(ready=True, message="1.0.0 serves")
        found = api.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        told = [(one["type"], one["reason"], one["involvedObject"]["name"]) for one in found]
        assert sorted(told) == [("Normal", "Serving", "iris"), ("Warning", "Down", "iris")]
        messages = {one["reason"]: one["message"] for one in found}
        assert messages["Down"] == "1.0.0 has no ready instance; try: fairlead logs iris --version 1.0.0"
        assert messages["Serving"].startswith("1.0.0 serves again; it was down since 20")

    def test_the_heartbeat_is_the_renewal_of_the_lease(self, api: Api, namespace: str, store: KubernetesStore) -> None:
        lease = Lease(api, namespace, "fairlead-control-plane", "pod-1", log=logging.getLogger(), clock=lambda: NOW)
        assert lease.attempt()
        assert store.last_beat() == KubernetesStore.direct(api, namespace).last_beat() == NOW


class TestDirectStore(StoreSuite):
    """The store of a command, with direct reads."""

    windows = 310
    """Enough to merge, and to merge merged windows. Each takes 50 ms; no real command adds windows."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Store:
        return KubernetesStore.direct(api, namespace)
