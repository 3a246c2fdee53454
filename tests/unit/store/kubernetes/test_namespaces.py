"""One store of several namespaces: whose a name is, and that what fails in one namespace stays there."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.action import Outcome
from fairlead.contracts.instance import Wanted
from fairlead.contracts.revision import Revision
from fairlead.control.displaced import TellingEngine
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.kinds import ACTIONS, DEPLOYMENTS, ROUTES, Kind, Object
from fairlead.store.kubernetes.namespaces import REFUSED_FOR_S, KubernetesNamespaces
from fairlead.store.kubernetes.route_names import route_names
from unit.store.builders import REF, a_spec, a_window, an_action, successor
from unit.store.kubernetes.memory_api import MemoryApi

LEASES = Kind("/apis/coordination.k8s.io/v1", "leases", "Lease")
LOG = logging.getLogger("test.namespaces")


class World:
    """A platform in `home` that serves team-a and team-b, and what its API server has."""

    def __init__(self, *further: str, api: MemoryApi | None = None) -> None:
        self.api, self.now = api or MemoryApi(), 1000.0
        self.stores = {name: KubernetesStore.direct(self.api, name) for name in ("home", *further)}
        self.store = KubernetesNamespaces(list(self.stores.values()), log=LOG, monotonic=lambda: self.now)

    def route(self, namespace: str, name: str = "iris", *, made: str = "2026-01-01T00:00:00Z") -> None:
        spec = a_spec(model=name).model_dump(mode="json", by_alias=True, exclude_defaults=True)
        self.api.put(ROUTES, namespace, name, {"metadata": {"creationTimestamp": made}, "spec": spec})

    def names(self) -> list[tuple[str, str]]:
        return [(route.namespace, route.name) for route in self.store.routes()]


def first() -> Revision:
    """The first revision of team-a's iris."""
    return successor(None).model_copy(update={"namespace": "team-a"})


@pytest.fixture
def world() -> World:
    return World("team-a", "team-b")


LATER = "2026-01-01T00:00:05Z"


def test_the_routes_of_all_namespaces_are_one_list(world: World) -> None:
    for namespace, name in (("home", "zoo"), ("team-a", "iris"), ("team-b", "churn")):
        world.route(namespace, name)
    assert world.names() == [("team-b", "churn"), ("team-a", "iris"), ("home", "zoo")]
    assert world.store.route("iris").namespace == "team-a"
    with pytest.raises(errors.NotFound, match="routes: churn, iris, zoo"):
        world.store.route("none")


def test_of_two_routes_of_one_name_the_oldest_is_followed_and_the_other_is_told(world: World) -> None:
    world.route("team-a", made=LATER)
    world.route("team-b")
    assert world.names() == [("team-b", "iris")]
    [(route, winner)] = world.store.displaced()
    assert (route.namespace, winner) == ("team-a", "team-b")


class IdleEngine:
    def tick_urgent(self) -> list[object]:
        return []

    def tick(self, between: object) -> None:
        return None


def test_a_route_whose_name_another_namespace_has_gets_a_condition_and_its_actions_are_refused(world: World) -> None:
    world.route("team-a", made=LATER)
    world.route("team-b")
    world.stores["team-a"].create_action(an_action("pause-1"))
    TellingEngine(IdleEngine(), world.store).tick(lambda: None)
    status = world.api.get(ROUTES, "team-a", "iris")["status"]
    said = "route 'iris' of namespace 'team-b' is older and serves 'iris'; delete one of the two"
    assert status["waiting"] == said
    [condition] = status["conditions"]
    assert (condition["type"], condition["status"]) == ("Conflict", "True")
    assert condition["message"] == "'iris' belongs to route 'iris' of namespace 'team-b'"
    action = world.stores["team-a"].action("pause-1")
    assert (action.outcome, action.message) == (Outcome.REFUSED, said)
    assert "status" not in world.api.get(ROUTES, "team-b", "iris")


def test_a_displaced_route_that_cannot_be_read_is_told_too(world: World) -> None:
    world.route("team-a", made=LATER)
    world.route("team-b")
    world.api.objects[ROUTES.plural, "team-a", "iris"]["spec"]["target"] = 7
    TellingEngine(IdleEngine(), world.store).tick(lambda: None)
    status = world.api.get(ROUTES, "team-a", "iris")["status"]
    assert status["waiting"].startswith("route 'iris' cannot be read: target: ")
    assert status["waiting"].endswith(
        "; and route 'iris' of namespace 'team-b' is older and serves 'iris'; delete one of the two"
    )
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Conflict", "True")]


class Naming(MemoryApi):
    """It refuses statuses of team-a, each with the name of the object."""

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        if namespace == "team-a":
            raise errors.Refused(f"you may not patch {name}")
        return super().patch(kind, namespace, name, body, part=part)


class Strict(MemoryApi):
    """It takes no status of team-a's iris."""

    def __init__(self, error: errors.FairleadError) -> None:
        super().__init__()
        self._error = error

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        if (namespace, name) == ("team-a", "iris"):
            raise self._error
        return super().patch(kind, namespace, name, body, part=part)


@pytest.mark.parametrize("error", [errors.Invalid("no"), errors.NotFound("no"), errors.Conflict("no")])
def test_a_displaced_route_whose_status_is_not_taken_stops_no_other(error: errors.FairleadError) -> None:
    world = World("team-a", "team-b", api=Strict(error))
    for name in ("iris", "wine"):
        world.route("team-a", name, made=LATER)
        world.route("team-b", name)
    TellingEngine(IdleEngine(), world.store).tick(lambda: None)
    assert "is older" in world.api.get(ROUTES, "team-a", "wine")["status"]["waiting"]


def test_when_the_oldest_is_gone_the_next_has_the_name(world: World) -> None:
    world.route("team-a", made=LATER)
    world.route("team-b")
    del world.api.objects[ROUTES.plural, "team-b", "iris"]
    assert world.names() == [("team-a", "iris")]
    assert world.store.displaced() == []


ROUTE = st.builds(
    lambda name, second, gone: {
        "metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:0{second}Z"}
        | ({"deletionTimestamp": "2026-01-01T00:01:00Z"} if gone else {})
    },
    st.sampled_from("abc"),
    st.integers(0, 3),
    st.booleans(),
)


@given(
    st.dictionaries(
        st.sampled_from(["home", "team-a", "team-b"]),
        st.lists(ROUTE, unique_by=lambda one: str(one["metadata"]["name"])).map(tuple),
    )
)
def test_every_name_has_one_namespace_and_nobody_older_is_displaced(routes: dict[str, tuple[Object, ...]]) -> None:
    found = route_names(routes)
    alive = {
        (namespace, str(one["metadata"]["name"])): str(one["metadata"]["creationTimestamp"])
        for namespace, objects in routes.items()
        for one in objects
        if "deletionTimestamp" not in one["metadata"]
    }
    followed = {(namespace, name) for name, namespace in found.namespaces.items()}
    assert followed | set(found.displaced) == alive.keys()
    assert not followed & set(found.displaced)
    for namespace, name in found.displaced:
        winner = found.namespaces[name]
        assert (alive[winner, name], winner) < (alive[namespace, name], namespace)


def test_what_is_written_of_a_route_is_written_in_its_namespace(world: World) -> None:
    world.route("team-a")
    world.store.append(first())
    world.store.set_status("iris", {"route": "iris", "observedGeneration": 1})
    world.store.add_window("iris", a_window(1))
    plurals = {(namespace, plural) for plural, namespace, _ in world.api.objects}
    assert plurals == {("team-a", "modelroutes"), ("team-a", "modelrouterevisions")}
    assert world.store.windows("iris") == [a_window(1)]
    head = world.store.head("iris")
    assert head is not None
    assert (head.seq, world.stores["home"].head("iris")) == (1, None)


def test_what_was_decided_about_a_deleted_route_is_not_written_where_another_has_its_name(world: World) -> None:
    world.route("team-b")
    world.store.set_status("iris", {"route": "iris", "observedGeneration": 7}, namespace="team-a")
    route = world.store.route("iris").model_copy(update={"namespace": "team-a"})
    for write in (lambda: world.store.append(first()), lambda: world.store.scale(route, [])):
        with pytest.raises(errors.Conflict, match="of namespace team-a was deleted; team-b has its name"):
            write()
    assert world.store.head("iris") is None
    assert "status" not in world.api.get(ROUTES, "team-b", "iris")


def test_actions_of_one_name_in_two_namespaces_are_finished_each_by_its_route(world: World) -> None:
    for namespace, route in (("team-a", "iris"), ("team-b", "churn")):
        world.route(namespace, route)
        world.stores[namespace].create_action(an_action("stop").model_copy(update={"route": route}))
    world.store.finish_action("stop", Outcome.ACCEPTED, route="churn")
    assert world.stores["team-a"].action("stop").outcome is Outcome.PENDING
    assert world.stores["team-b"].action("stop").outcome is Outcome.ACCEPTED
    assert [one.route for one in world.store.actions(outcome=Outcome.PENDING)] == ["iris"]


def test_an_action_on_a_route_of_another_namespace_is_not_seen(world: World) -> None:
    world.route("team-b", "churn")
    body = {"spec": {"route": "churn", "type": "rollback", "actor": "mallory"}}
    world.api.put(ACTIONS, "team-a", "forged", body)
    assert world.store.actions() == []
    assert world.store.actions("churn") == []


def test_a_namespace_that_refuses_writes_stops_no_other_and_is_named_with_what_to_do(world: World) -> None:
    world.route("team-a", "iris")
    world.route("team-b", "churn")
    world.api.refuses |= {("patch", "team-a"), ("create", "team-a")}
    with pytest.raises(errors.Conflict):
        world.store.append(first())
    for route in ("iris", "churn"):
        world.store.set_status(route, {"route": route, "observedGeneration": 1})
    assert world.api.get(ROUTES, "team-b", "churn")["status"]["observedGeneration"] == 1
    [(namespace, why)] = world.store.problems().items()
    assert namespace == "team-a"
    assert why.startswith("not everything can be written there: API server: you may not patch in team-a; create the")
    assert "upgrade the platform's chart" in why
    world.now += REFUSED_FOR_S
    assert world.store.problems() == {}


def test_a_problem_of_a_namespace_is_logged_once_however_many_objects_it_concerns(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("iris", "wine"):
        world.route("team-a", name)
    api = Naming()
    api.objects, world.store = (
        world.api.objects,
        KubernetesNamespaces(
            [KubernetesStore.direct(api, name) for name in ("home", "team-a")], log=LOG, monotonic=lambda: world.now
        ),
    )
    for _ in range(3):
        world.now += REFUSED_FOR_S / 2
        for name in ("iris", "wine"):
            world.store.set_status(name, {"route": name, "observedGeneration": 1})
            world.store.change_token()
    assert [one.message.partition("; ")[0] for one in caplog.records] == [
        "namespace team-a: not everything can be written there: you may not patch iris"
    ]


def test_a_ledger_that_may_not_be_read_is_a_problem_of_its_route_only(world: World) -> None:
    world.route("team-a")
    world.store.append(first())
    fresh = KubernetesNamespaces([KubernetesStore.direct(world.api, name) for name in world.stores])
    world.api.refuses.add(("get", "team-a"))
    with pytest.raises(errors.Invalid, match="the ledger of 'iris' cannot be read: API server: you may not get"):
        fresh.revision("iris", 1)


def unread(api: MemoryApi) -> tuple[KubernetesNamespaces, KubernetesStore]:
    """A store whose second namespace was never listed."""
    absent = KubernetesStore(api, "absent", log=LOG)
    return KubernetesNamespaces([KubernetesStore.direct(api, "home"), absent], log=LOG), absent


def test_a_namespace_that_was_never_listed_has_no_routes_and_is_unread(world: World) -> None:
    world.route("home")
    store, _ = unread(world.api)
    assert [one.name for one in store.routes()] == ["iris"]
    assert store.unread() == ("absent",)
    assert not store.loaded


def told(world: World, *, made: str = LATER) -> None:
    """Team-b's iris, whose status says that another route has its name."""
    world.route("team-b", made=made)
    world.api.objects[ROUTES.plural, "team-b", "iris"]["status"] = {
        "conditions": [{"type": "Conflict", "status": "True", "reason": "OtherRoute", "message": ""}]
    }


def started(world: World) -> KubernetesNamespaces:
    """A control plane that starts without rights in team-a."""
    stores = [world.stores["home"], world.stores["team-b"], KubernetesStore(world.api, "team-a", log=LOG)]
    return KubernetesNamespaces(stores, log=LOG)


def test_a_route_that_was_displaced_before_the_start_does_not_get_the_name_of_one_that_cannot_be_read(
    world: World,
) -> None:
    told(world)
    world.route("team-b", "churn")
    store = started(world)
    assert [one.name for one in store.routes()] == ["churn"]
    assert store.displaced() == []
    store.set_status("iris", {"route": "iris"})
    assert world.api.get(ROUTES, "team-b", "iris")["status"]["conditions"]


def test_it_gets_the_name_when_every_namespace_was_read_and_none_has_it(world: World) -> None:
    told(world)
    assert world.names() == [("team-b", "iris")]


def test_a_route_that_lost_to_one_that_is_read_gets_the_name_when_that_one_is_deleted(world: World) -> None:
    told(world)
    world.route("home")
    store = started(world)
    assert [one.namespace for one in store.routes()] == ["home"]
    assert [(one.namespace, winner) for one, winner in store.displaced()] == [("team-b", "home")]
    del world.api.objects[ROUTES.plural, "home", "iris"]
    assert [one.namespace for one in store.routes()] == ["team-b"]


def test_a_route_that_lost_its_model_to_one_that_is_read_is_followed(world: World) -> None:
    told(world)
    world.route("home", "older")
    world.api.objects[ROUTES.plural, "home", "older"]["spec"]["model"] = "iris"
    assert [one.name for one in started(world).routes()] == ["iris", "older"]


class Deleting(MemoryApi):
    """It notes which objects were deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[tuple[str, str]] = []

    def delete(
        self, kind: Kind, namespace: str, name: str, *, propagation: str = "Background", seen: Object | None = None
    ) -> None:
        self.deleted.append((namespace, name))


def test_a_namespace_that_nobody_decided_about_keeps_its_versions(world: World) -> None:
    api = world.api = Deleting()
    stores = [KubernetesStore.direct(api, name) for name in ("home", "team-a")]
    world.api.put(ROUTES, "team-a", "iris", {"spec": a_spec().model_dump(mode="json", by_alias=True)})
    stores[1].append(first())
    own = [{"kind": "ModelRoute", "uid": "team-a/modelroutes/iris"}]
    old = {labels.MODEL: "iris", labels.ROUTE: "iris", labels.VERSION: "0.9.0", labels.IDENTITY: "0123456789"}
    api.put(DEPLOYMENTS, "team-a", "iris-0123456789", {"metadata": {"labels": old, "ownerReferences": own}})
    store = KubernetesNamespaces(stores)
    store.want([])
    assert api.deleted == []
    store.want([Wanted(namespace="team-a", model="iris", ref=REF, index=0, source="deployment/iris")])
    assert set(api.deleted) == {("team-a", "iris-0123456789")}
