"""Observations with one thing less: an instance, a gateway, a counter or a reading. Nothing rises because of that.

`check` is the property: where the rollout holds, it still holds with less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf

from fairlead.contracts.action import Action
from fairlead.contracts.answers import ClassCounts, Pairs, ShadowStatus
from fairlead.contracts.gates import MEASURED, is_custom
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Verdict
from fairlead.contracts.route import Route
from fairlead.contracts.window import Counts, CustomGateCounts, GateEvidence, Histograms, VersionCounts, Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Decision, Observation
from fairlead.rollout.ports import GatewayState

MANY = 64


def check(route: Route, head: Revision | None, observation: Observation, actions: Sequence[Action]) -> int:
    """Raise AssertionError if a fault turns a hold, or a rollback of the engine, into a rise.

    Returns the number of faults that were tried: 0 where there is no rollout, or where it rises anyway.
    """
    if head is None or head.state.phase is Phase.STABLE:
        return 0
    eased = head.model_copy(update={"state": head.state.model_copy(update={"approved": MANY, "paused": False})})
    others = ((eased, one) for one in _with_one_reason_left(eased, observation))
    return sum(_check(route, one, seen, actions) for one, seen in ((head, observation), *others))


def _with_one_reason_left(head: Revision, seen: Observation) -> Iterator[Observation]:
    """The same with everything in favour of the rise but the instances, the gateways, or what was counted.

    Random histories seldom hold for one reason alone, and only then a fault could show that it is the wrong one.
    """
    passed = Check(gate="smoke", verdict=Verdict.PASS, reason="as the test sets it")
    late = replace(seen, now=seen.now + timedelta(days=1), smoke=passed, since_window_s=inf, since_entered_s=inf)
    serving = tuple(GatewayState(one.name, True, {head.route: head.seq}) for one in seen.gateways)
    full = {head.table.stable: MANY, head.state.target: MANY}
    mine = replace(late, gateways=serving, lost=())
    yield replace(mine, windows=tuple(one.model_copy(update={"gap": None, "evidence": ()}) for one in seen.windows))
    yield replace(late, ready=full, wanted=full, windows=())
    behind = tuple(GatewayState(one.name, True, {head.route: head.seq - 1}) for one in seen.gateways[1:])
    yield replace(mine, ready=full, wanted=full, windows=(), gateways=(*serving[:1], *behind))
    yield replace(mine, ready=full, wanted=full)


def _check(route: Route, head: Revision, observation: Observation, actions: Sequence[Action]) -> int:
    decision = decide(route, head, observation, actions)
    if decision.next is not None and (decision.next.cause is not Cause.ROLLED_BACK or decision.next.action):
        return 0
    tried = 0
    for fault, weaker in weakened(head, observation):
        tried += 1
        found = decide(route, head, weaker, actions)
        assert not _rises(found), f"{fault} turns {decision.waiting or 'a rollback'!r} into {found.next!r}"
    return tried


def _rises(decision: Decision) -> bool:
    """Whether the engine raises the weight. A person may promote exactly because stable lost its instances."""
    revision = decision.next
    return revision is not None and revision.action is None and revision.cause in (Cause.STEP, Cause.PROMOTED)


def weakened(head: Revision, seen: Observation) -> Iterator[tuple[str, Observation]]:
    """Each possible loss of one thing, as the engine would observe it at this tick."""
    for ref, count in seen.ready.items():
        for left in {count - 1, 0} if count else ():
            yield f"{ref} has {left} instead of {count} instances", replace(seen, ready={**seen.ready, ref: left})
    known = seen.windows[-1].stable_instances if seen.windows else None
    stable = head.table.stable
    if known is not None and known >= seen.wanted.get(stable, 0):
        unknown = {ref: count for ref, count in seen.wanted.items() if ref != stable}
        yield "the number that stable should have cannot be read", replace(seen, wanted=unknown)
    yield from _without_gateways(seen)
    yield "the golden rows' result is lost", replace(seen, smoke=None)
    yield "the time since the last window is not known", replace(seen, since_window_s=0.0)
    yield "the time since the step began is not known", replace(seen, since_entered_s=0.0)
    yield from _without_windows(seen)


def _without_gateways(seen: Observation) -> Iterator[tuple[str, Observation]]:
    for index, one in enumerate(seen.gateways):
        others = (*seen.gateways[:index], *seen.gateways[index + 1 :])
        silent = GatewayState(one.name, reachable=False)
        lost = (*seen.lost, one) if one.reachable else seen.lost
        yield f"gateway {one.name} is gone", replace(seen, gateways=others, lost=lost)
        yield f"gateway {one.name} is silent", replace(seen, gateways=(*others, silent), lost=lost)
        forgot = GatewayState(one.name, one.reachable)
        yield f"gateway {one.name} has started anew", replace(seen, gateways=(*others, forgot))
    if seen.gateways:
        silent_all = tuple(GatewayState(one.name, reachable=False) for one in seen.gateways)
        now_lost = tuple(one for one in seen.gateways if one.reachable)
        yield "no gateway answers", replace(seen, gateways=silent_all, lost=(*seen.lost, *now_lost))
        yield "no gateway is listed", replace(seen, gateways=(), lost=(*seen.lost, *now_lost))


def _without_windows(seen: Observation) -> Iterator[tuple[str, Observation]]:
    if not seen.windows:
        return
    *earlier, newest = seen.windows
    before: tuple[GateEvidence, ...] = earlier[-1].evidence if earlier else ()
    pairs = tuple(one for one in newest.evidence if one.gate == "agreement")
    gap = _gap(newest, (*pairs, *(one for one in before if one.gate != "agreement")))
    yield "the newest window's counters cannot be read", replace(seen, windows=(*earlier, gap))
    not_observed = newest.model_copy(update={"ready": None})
    yield "nobody knows who was ready in the newest window", replace(seen, windows=(*earlier, not_observed))
    if newest.pairs.n:
        counted = tuple(one for one in newest.evidence if one.gate != "agreement")
        agreed = tuple(one for one in before if one.gate == "agreement")
        unseen = newest.model_copy(update={"pairs": Pairs(), "evidence": (*counted, *agreed)})
        shadow = ShadowStatus(silent=("a service",))
        yield "a service's answers cannot be read", replace(seen, windows=(*earlier, unseen), shadow=shadow)
    if newest.measured:
        others = tuple(one for one in newest.evidence if one.gate not in MEASURED)
        mine = tuple(one for one in before if one.gate in MEASURED)
        untold = newest.model_copy(update={"measured": None, "evidence": (*others, *mine)})
        yield "services tell nothing of themselves", replace(seen, windows=(*earlier, untold))
    if newest.custom:
        unread = {
            name: CustomGateCounts(until=one.until, gap="Prometheus is away") for name, one in newest.custom.items()
        }
        others = tuple(one for one in newest.evidence if not is_custom(one.gate))
        mine = tuple(one for one in before if is_custom(one.gate))
        custom = newest.model_copy(update={"custom": unread, "evidence": (*others, *mine)})
        yield "the newest window's own metrics cannot be read", replace(seen, windows=(*earlier, custom))
    for index, one in enumerate(earlier):
        if one.weight == newest.weight and one.gap is None:
            lost = _gap(one, one.evidence)
            yield (
                "an earlier window of the step counts nothing",
                replace(seen, windows=(*earlier[:index], lost, *earlier[index + 1 :], newest)),
            )
            break


def _gap(window: Window, evidence: tuple[GateEvidence, ...]) -> Window:
    nothing = {
        "candidate": Counts(),
        "stable": Counts(),
        "assigned": 0,
        "unserved": 0,
        "rejections": VersionCounts(),
        "latency": Histograms(),
        "classes": ClassCounts(),
    }
    return window.model_copy(update={**nothing, "gap": "no gateway told its counters", "evidence": evidence})
