"""How many instances the rollout wants of each version at least: enough for its weight, now and after the next step.

An autoscaler sees only the present load. It knows neither a candidate's next weight, nor that a rollback may give the
version before all requests at once. So it takes this number as a lower bound beside its own metrics. Where the control
plane itself scales versions (`managed`), the same number says which of them run.

No number depends on what a fault left over: those of stable and the candidate follow the instances that stable should
have, and all others fall only while nothing speaks against it (`_why_kept`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.status import WantedInstances
from fairlead.rollout.policy.cold import REASON, may_be_cold, stopped
from fairlead.rollout.policy.desired_instances import is_settled, within_rollback_window
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.steps import percent

IDLE = "it neither serves nor may be gone back to"
USED = "it has not been idle for long enough"


def wanted(route: Route, head: Revision | None, seen: Observation) -> tuple[WantedInstances, ...]:
    """One entry for every version that the spec lists or that the route may send requests to, by version."""
    specified = {spec.ref(version): spec.instances for version, spec in route.spec.versions.items()}
    needs = dict.fromkeys(specified, (0, IDLE))
    for ref, count, reason in _roles(route, head, seen):
        needs[ref] = max(needs.get(ref, (0, "")), (max(count, specified.get(ref, 1)), reason))
    idle = stopped(route, head, seen)
    for ref, instances in specified.items():
        if may_be_cold(route, ref) and not needs[ref][0]:
            needs[ref] = (instances, USED)
    needs.update(dict.fromkeys(idle, (0, REASON)))
    kept, rolled = _why_kept(route, head, seen), _rolled(head) | idle
    for ref, (count, _) in needs.items():
        present = seen.wanted.get(ref, 0)
        if kept and present > count and ref not in rolled:
            needs[ref] = (present, kept)
    found = (
        WantedInstances(ref=ref, instances=count, present=seen.wanted.get(ref), reason=reason)
        for ref, (count, reason) in needs.items()
    )
    return tuple(sorted(found, key=lambda one: (one.ref.version, one.ref.identity)))


def managed(route: Route, wanted: Sequence[WantedInstances]) -> tuple[WantedInstances, ...]:
    """What runs of each version of the spec where nothing else scales: its `instances`, none, or what it has."""
    specified = {spec.ref(version): spec.instances for version, spec in route.spec.versions.items()}
    return tuple(
        one.model_copy(update={"instances": most}) if one.instances > most else one
        for one in wanted
        if (most := specified.get(one.ref)) is not None
    )


def _roles(route: Route, head: Revision | None, seen: Observation) -> Iterator[tuple[VersionRef, int, str]]:
    """The versions that need instances: how many the load needs at least, and why. One may come twice."""
    if head is None:
        yield route.spec.target_ref, 1, "it is the first version"
        return
    situation = Situation(route, head, seen)
    stable, candidate, state = situation.stable, situation.candidate, head.state
    if candidate is None:
        yield stable, 1, "it serves all requests"
    else:
        yield stable, situation.stable_instances, "it keeps what all requests need until the candidate is promoted"
        weight = max(situation.weight, situation.next_weight)
        yield candidate, situation.instances_for(weight), f"its next share is {percent(weight)}"
    if (
        state.phase is Phase.STABLE
        and state.previous is not None
        and within_rollback_window(route, head.state, seen.now)
    ):
        yield state.previous, situation.stable_instances, "a rollback would give it all requests at once"
    shares = {mirror.version: mirror.share for mirror in head.table.mirrors}
    shares |= {route.spec.versions[one.version].ref(one.version): one.share for one in route.spec.mirrors}
    for ref, share in shares.items():
        yield ref, situation.instances_for(share), f"{percent(share)} of the requests are mirrored to it"


def _rolled(head: Revision | None) -> set[VersionRef]:
    """Stable and the candidate: their number follows the rollout, so a gateway that is away for long pins no load."""
    if head is None:
        return set()
    return {head.table.stable} | ({head.state.target} if head.state.phase is not Phase.STABLE else set())


def _why_kept(route: Route, head: Revision | None, seen: Observation) -> str:
    """Why other versions than stable and the candidate keep the instances that they have; empty if they need not."""
    if head is None:
        return "no version serves yet"
    if head.generation != route.generation:
        return "the spec was changed just now"
    if not is_settled(head, seen.gateways):
        return f"a gateway that does not serve {head.id} yet may send it requests"
    if seen.unknown:
        return "which instances are ready is not known"
    if not seen.ready.get(head.table.stable):
        return f"{head.table.stable} has no ready instance, and it might have to serve instead"
    return ""
