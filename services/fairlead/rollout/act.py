"""Writing what was decided. The order of the writes is the crash safety: each may be the last one.

Finished actions first: an action is only ever named by the head while it is unfinished, so whoever comes next can
tell that it was carried out. Then the revision, which is the whole state. Then its action.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts.action import Outcome
from fairlead.contracts.base import canonical
from fairlead.contracts.revision import Revision
from fairlead.rollout.policy.observation import Decision
from fairlead.rollout.ports import EngineStore

KEPT = 200
"""Revisions of one route that the store keeps, beside the promotions. The log has all of them."""


def act(store: EngineStore, route: str, decision: Decision, *, log: Callable[[str], None]) -> Revision | None:
    """Carry a decision out. Returns the revision that was appended, if one was.

    Raises Conflict when somebody else wrote first; nothing is lost, because everything is decided anew then.
    """
    for done in decision.finished:
        store.finish_action(done.name, done.outcome, message=done.message, revision=done.revision)
    if decision.next is None:
        return None
    # What was counted under the head is the evidence that the next revision carries.
    windows = tuple(store.windows(route))
    revision = store.append(decision.next.model_copy(update={"windows": windows}))
    log(canonical(revision.to_json()))
    if revision.action is not None:
        store.finish_action(revision.action, Outcome.ACCEPTED, message=revision.reason, revision=revision.seq)
    store.prune(route, keep=KEPT, now=revision.created_at)
    return revision
