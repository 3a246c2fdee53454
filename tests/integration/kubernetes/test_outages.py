"""Outages of the API server: reads return the last known state, writes raise an error, and nothing is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from kubernetes.client import Configuration

from fairlead import errors
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.access import Access
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ROUTES, Kind, Object
from support.cluster.lifecycle import Cluster
from support.processes import free_ports, wait_until
from unit.store.builders import NOW, a_spec, a_window, filled, routed, successor

LOG = logging.getLogger("test.outages")


@pytest.fixture
def store(api: Api, namespace: str) -> Iterator[KubernetesStore]:
    with KubernetesStore(api, namespace, log=LOG) as store:
        store.wait_until_loaded(10)
        yield store


def test_nothing_can_be_read_before_the_first_list() -> None:
    nowhere = Api(Access(Configuration(host=f"http://127.0.0.1:{free_ports(1)[0]}")), timeout_s=0.5)
    with KubernetesStore(nowhere, "default", log=LOG) as store:
        for read in (store.routes, store.instances, store.actions, lambda: store.head("iris"), store.wanted):
            with pytest.raises(errors.NotReady, match="have not been listed yet"):
                read()
        with pytest.raises(errors.Unavailable, match="could not be listed within"):
            store.wait_until_loaded(0.3)


def test_reads_work_during_an_outage_and_the_store_recovers_by_itself(
    prepared: Cluster, api: Api, namespace: str, store: KubernetesStore
) -> None:
    before = filled(store, 3)
    prepared.stop("kube-apiserver")
    try:
        wait_until(lambda: store.silent_s() > 1, "the outage lasts")
        assert store.head("iris") == before[-1]
        assert [route.name for route in store.routes()] == ["iris"]
        for write in (
            lambda: store.append(successor(before[-1])),
            lambda: store.add_window("iris", a_window(1)),
            lambda: store.set_status("iris", {"phase": "Canary"}),
            lambda: store.put_route("iris", a_spec(idempotent=False), now=NOW, actor="ada"),
        ):
            with pytest.raises(errors.Unavailable, match="cannot be reached"):
                write()
    finally:
        prepared.start("kube-apiserver")
    wait_until(lambda: _answers(api), "the API server is back")
    fourth = store.append(successor(before[-1]))
    assert fourth.seq == 4
    # The watch sees the writes of others again, without a restart.
    other = KubernetesStore.direct(api, namespace)
    other.append(successor(other.head("iris")))
    wait_until(lambda: store.head("iris") == other.head("iris"), "the watch goes on")
    assert store.verify("iris") is None


def test_the_write_of_another_process_is_soon_visible(api: Api, namespace: str, store: KubernetesStore) -> None:
    other = routed(KubernetesStore.direct(api, namespace), "iris")
    wait_until(lambda: len(store.routes()) == 1, "the route is known")
    token = store.change_token()
    head = other.append(successor(None))
    moved = store.wait(token, 5)
    assert moved != token
    wait_until(lambda: store.head("iris") == head, "the head is known")


def test_an_emptied_store_reads_as_empty_and_not_as_an_error(api: Api, namespace: str, store: KubernetesStore) -> None:
    filled(store, 2)
    KubernetesStore.direct(api, namespace).delete_route("iris")
    wait_until(lambda: store.routes() == [], "the route is gone")
    assert len(store.revisions("iris")) == 2


def test_a_revision_whose_response_was_lost_is_not_appended_twice(
    api: Api, namespace: str, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = filled(store, 1)[-1]
    create = api.create

    def lossy(kind: Kind, where: str, body: Object) -> Object:
        create(kind, where, body)
        return create(kind, where, body)  # the retry, after the first response was lost

    monkeypatch.setattr(api, "create", lossy)
    second = store.append(successor(head))
    monkeypatch.undo()
    assert [one.seq for one in store.revisions("iris")] == [1, 2]
    assert store.head("iris") == second


def test_a_window_whose_response_was_lost_is_not_counted_twice(
    api: Api, store: KubernetesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    routed(store, "iris").add_window("iris", a_window(1))
    store.add_window("iris", a_window(2), at_once=False)
    patch = api.patch

    def lossy(kind: Kind, where: str, name: str, body: Object, *, part: str = "") -> Object:
        patch(kind, where, name, body, part=part)
        raise errors.Unavailable("the connection broke")

    with monkeypatch.context() as broken:
        broken.setattr(api, "patch", lossy)
        with pytest.raises(errors.Unavailable):
            store.set_status("iris", {"phase": "Canary"})
    wait_until(lambda: store.status("iris") is not None, "the watch has seen the write")
    assert store.windows("iris") == [a_window(1), a_window(2)]
    store.set_status("iris", {"phase": "Canary", "weight": 500})
    assert store.windows("iris") == [a_window(1), a_window(2)]


def test_a_spec_that_became_unreadable_keeps_its_last_readable_state(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    """An unknown field of a newer definition is ignored; after any other error the last readable spec is kept."""
    routed(store, "iris")
    known = store.route("iris")
    parsed = store._parsed["iris"][0]
    broken = {"metadata": {**parsed["metadata"], "resourceVersion": str(10**12)}, "spec": {"model": "iris"}}
    store._session.objects.note_written(ROUTES, broken)
    assert store.route("iris") == known
    newer = {**broken, "metadata": {**parsed["metadata"], "resourceVersion": str(10**12 + 1)}}
    newer["spec"] = {**parsed["spec"], "idempotent": False, "invented": {"later": True}}
    store._session.objects.note_written(ROUTES, newer)
    assert store.route("iris").spec == known.spec.model_copy(update={"idempotent": False})


def test_a_spec_that_was_never_readable_is_named_and_stops_no_other(
    api: Api, namespace: str, store: KubernetesStore
) -> None:
    routed(store, "iris", "wine")
    found = store._parsed["iris"][0]
    store._parsed.clear()  # as in a process that starts
    broken = {**found, "metadata": {**found["metadata"], "resourceVersion": str(10**12)}, "spec": {"model": "iris"}}
    store._session.objects.note_written(ROUTES, broken)
    assert [route.name for route in store.routes()] == ["wine"]
    (named,) = store.unreadable_routes()
    assert (named.namespace, named.name) == (namespace, "iris")
    assert named.message.startswith("route 'iris' cannot be read: ")
    with pytest.raises(errors.Invalid, match="route 'iris' cannot be read"):
        store.route("iris")


def _answers(api: Api) -> bool:
    try:
        api.request("GET", "/readyz")
    except errors.FairleadError:
        return False
    return True
