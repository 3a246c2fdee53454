"""Check whether the cluster verifies the actors of actions and of changed routes, with a forged action in a dry run.

The control plane needs no setting for this, and it notices when the policy is removed later.
"""

from __future__ import annotations

from fairlead import errors
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ACTIONS

POLICY = "fairlead-people"
FORGED = "fairlead:nobody"
"""An actor that is never the caller's user name."""


def actors_are_verified(api: Api, namespace: str) -> bool:
    """True if our policy, and not only RBAC, refuses the forged action. Raises Unavailable."""
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
