"""Whether an action's actor is held against its caller: asked of the API server itself, with a forged one.

Nobody need tell the control plane what is installed, and a policy that is removed later is noticed.
"""

from __future__ import annotations

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS

POLICY = "fairlead-actions"
FORGED = "fairlead:nobody"
"""An actor that no caller is."""


def actors_are_verified(api: Api, namespace: str) -> bool:
    """True when a forged action is refused by our policy, and not merely by RBAC. Raises Unavailable."""
    forged = {
        "metadata": {"generateName": "fairlead-forged-"},
        "spec": {"route": "fairlead-forged", "type": "pause", "actor": FORGED},
    }
    try:
        api.create(ACTIONS, namespace, forged, dry_run=True)
    except errors.Refused as refused:
        return POLICY in refused.message
    except errors.Invalid:
        return False
    return False
