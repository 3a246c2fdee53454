"""The routes, revisions, actions and windows that the tests of the stores write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.revision import Cause, Revision, State
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, Window
from fairlead.store.base import Store

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
REF = VersionSpec().ref("1.0.0")


def a_spec(**changes: object) -> RouteSpec:
    spec = RouteSpec(
        model="iris", versions={"1.0.0": VersionSpec(), "1.1.0": VersionSpec()}, target=Target(version="1.0.0")
    )
    return spec.model_copy(update=changes)


def successor(head: Revision | None, *, route: str = "iris", cause: Cause = Cause.SPEC, at: int = 0) -> Revision:
    seq = head.seq + 1 if head else 1
    moment = NOW + timedelta(seconds=at)
    return Revision(
        route=route,
        seq=seq,
        parent=head.hash if head else "",
        cause=cause,
        actor="ada",
        reason=f"ünïcode {seq}",
        generation=1,
        table=Table(model=route, stable=REF, pins=(REF,)),
        state=State(target=REF, entered_at=moment),
        created_at=moment,
    )


def routed(store: Store, *names: str) -> Store:
    """The store with these routes in it. A cluster keeps status and windows in the route's object."""
    there = {route.name for route in store.routes()}
    for name in names:
        if name not in there:
            store.put_route(name, a_spec(model=name), now=NOW, actor="ada")
    return store


def filled(store: Store, count: int, *, route: str = "iris", promoted: tuple[int, ...] = ()) -> list[Revision]:
    """Append `count` revisions, a minute apart, to the route, which is created if necessary."""
    routed(store, route)
    head = store.head(route)
    for number in range(1, count + 1):
        cause = Cause.PROMOTED if number in promoted else Cause.SPEC
        head = store.append(successor(head, route=route, cause=cause, at=60 * number))
    return store.revisions(route)


def an_action(name: str = "a1", *, kind: ActionType = ActionType.ROLLBACK, at: int = 0) -> Action:
    return Action(name=name, route="iris", type=kind, actor="ada", created_at=NOW + timedelta(seconds=at))


def a_window(number: int, *, bad: int = 1, gap: str | None = None) -> Window:
    start = NOW + timedelta(seconds=5 * number)
    counted = {} if gap else {"candidate": Counts(n=10, bad=bad), "stable": Counts(n=90), "assigned": 11, "unserved": 2}
    return Window(start=start, end=start + timedelta(seconds=5), weight=500, ready=1, gap=gap, **counted)
