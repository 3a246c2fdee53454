"""Writes a decision to the store. The process may die after any of these writes; their order makes that safe.

Finished actions come first. The head names an action only while that action is unfinished, so the next process can
tell that it was carried out. Then comes the revision, which holds the whole state, and then the revision's own action.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts.action import Outcome
from fairlead.contracts.base import canonical
from fairlead.contracts.revision import Cause, Revision
from fairlead.rollout.policy.observation import Decision
from fairlead.rollout.ports import EngineStore

REVISIONS_KEPT = 200
"""How many revisions of one route the store keeps, beside the promotions. The log has all of them."""


def act(store: EngineStore, route: str, decision: Decision, *, log: Callable[[str], None]) -> Revision | None:
    """Carry out a decision. Returns the appended revision, if there is one.

    Raises Conflict when another writer was faster. Nothing is lost: the next tick decides again.
    """
    for done in decision.finished:
        store.finish_action(done.name, done.outcome, message=done.message, revision=done.revision, route=route)
    if decision.next is None:
        return None
    # The windows counted under the head are the evidence that the next revision stores.
    windows = tuple(store.windows(route))
    revision = store.append(_continued(store, decision.next).model_copy(update={"windows": windows}))
    log(canonical(revision.to_json()))
    if revision.action is not None:
        message = decision.answer or revision.reason
        store.finish_action(revision.action, Outcome.ACCEPTED, message=message, revision=revision.seq, route=route)
    store.prune(route, keep=REVISIONS_KEPT, now=revision.created_at)
    return revision


def _continued(store: EngineStore, revision: Revision) -> Revision:
    """A first revision of a model that was removed before continues its ledger, and the numbers of its attempts."""
    last = store.revisions(revision.route, limit=1) if revision.cause is Cause.CREATED else []
    if not last:
        return revision
    state = revision.state.model_copy(update={"attempt": last[-1].state.attempt})
    return revision.model_copy(update={"seq": last[-1].seq + 1, "parent": last[-1].hash, "state": state})
