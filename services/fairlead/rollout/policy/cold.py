"""Which versions are cold: nobody uses them, so none of their instances runs, and a request for one waits for it.

A version becomes cold in two steps. First a revision says so, and every gateway holds the requests for it. Its
instances stop only after that, so that no request meets a version that is about to end. It is no longer cold as soon as
an instance is ready again, and then the gateways let the requests go.
"""

from __future__ import annotations

from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Cause, Revision, State
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.policy.desired_instances import is_settled, roles, within_rollback_window
from fairlead.rollout.policy.observation import Observation

LINGER_S = 31.0
"""How long a cold version keeps its instances, at most as long as it was idle before: a request that the gateway let
pass just before may still be arriving for 30 s."""
REASON = "nobody uses it: it is cold, and the next request starts it"


def cold(route: Route, seen: Observation, before: Table, after: State, table: Table) -> tuple[VersionRef, ...]:
    """The cold versions of `table`, which follows `before`.

    While a candidate has weight, neither it nor stable is one. While it is not known which instances are ready, none is
    added and none is removed.
    """
    serving = {table.stable, table.candidate} if table.weight else set()
    return tuple(
        ref
        for ref in table.pins
        if ref not in serving
        and (ref in before.cold if seen.unknown else _is_cold(route, seen, after, table, ref, ref in before.cold))
    )


def _is_cold(route: Route, seen: Observation, after: State, table: Table, ref: VersionRef, was_cold: bool) -> bool:
    if was_cold and not seen.ready.get(ref):
        return True
    return ref not in _never_cold(route, after, table, seen) and _idle_for(route, seen, ref, 1)


def may_be_cold(route: Route, ref: VersionRef) -> bool:
    """Whether the spec lets this version be cold."""
    spec = route.spec.versions.get(ref.version)
    return spec is not None and spec.min_instances is not None and spec.ref(ref.version) == ref


def describe_cold(route: Route, before: Table, after: Table) -> tuple[Cause, str]:
    """The cause and the reason of a revision that changes only which versions are cold."""
    if fallen := [str(ref) for ref in after.cold if ref not in before.cold]:
        lasted = format_duration(route.spec.scale_to_zero.after)
        return Cause.COLD, f"nobody used {', '.join(fallen)} for {lasted}: the next request starts it"
    woken = (str(ref) for ref in before.cold if ref not in after.cold)
    return Cause.WOKEN, f"{', '.join(woken)} is ready again"


def stopped(route: Route, head: Revision | None, seen: Observation) -> frozenset[VersionRef]:
    """The cold versions of which no instance should run now."""
    if head is None:
        return frozenset()
    always = {spec.ref(name) for name, spec in route.spec.versions.items() if spec.min_instances is None}
    needed = _never_cold(route, head.state, head.table, seen) | seen.asked | always
    return frozenset(ref for ref in head.table.cold if _is_stopped(route, head, seen, ref, ref in needed))


def _is_stopped(route: Route, head: Revision, seen: Observation, ref: VersionRef, is_needed: bool) -> bool:
    if seen.wanted.get(ref) == 0:
        # An instance that is ending would be taken for the one that is to be started.
        return not is_needed or ref in seen.present
    lingered = 1 + min(1.0, LINGER_S / route.spec.scale_to_zero.after)
    return not is_needed and _idle_for(route, seen, ref, lingered) and is_settled(head, seen.gateways)


def _idle_for(route: Route, seen: Observation, ref: VersionRef, times: float) -> bool:
    """Whether nobody has used the version for so many times `after`, and the spec lets it be cold."""
    if ref in seen.asked or not may_be_cold(route, ref):
        return False
    return seen.idle_s.get(ref, 0.0) >= times * route.spec.scale_to_zero.after


def _never_cold(route: Route, state: State, table: Table, seen: Observation) -> set[VersionRef]:
    """The versions that a rollout, a rollback or mirrored requests may need at once."""
    return {mirror.version for mirror in table.mirrors} | roles(
        state, table.stable, is_returnable=within_rollback_window(route, state, seen.now)
    )
