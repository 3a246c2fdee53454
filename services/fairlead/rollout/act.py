"""Writes a decision to the store. The process may die after any of these writes; their order makes that safe.

Finished actions come first. The head names an action only while that action is unfinished, so the next process can
tell that it was carried out. Then comes the revision, which holds the whole state, and then the revision's own action.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts.action import Outcome
from fairlead.contracts.base import canonical
from fairlead.contracts.revision import Revision
from fairlead.rollout.policy.observation import Decision
from fairlead.rollout.ports import EngineStore

REVISIONS_KEPT = 200
"""How many revisions of one route the store keeps, beside the promotions. The log has all of them."""


def act(store: EngineStore, route: str, decision: Decision, *, log: Callable[[str], None]) -> Revision | None:
    """Carry out a decision. Returns the appended revision, if there is one.

    Raises Conflict when another writer was faster. Nothing is lost: the next tick decides again.
    """
    for done in decision.finished:
        store.finish_action(done.name, done.outcome, message=done.message, revision=done.revision)
    if decision.next is None:
        return None
    # The windows counted under the head are the evidence that the next revision stores.
    windows = tuple(store.windows(route))
    revision = store.append(decision.next.model_copy(update={"windows": windows}))
    log(canonical(revision.to_json()))
    if revision.action is not None:
        message = decision.answer or revision.reason
        store.finish_action(revision.action, Outcome.ACCEPTED, message=message, revision=revision.seq)
    store.prune(route, keep=REVISIONS_KEPT, now=revision.created_at)
    return revision
