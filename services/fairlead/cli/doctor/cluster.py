"""All checks of a platform in a cluster."""

from __future__ import annotations

from fairlead.cli.cluster import open_store
from fairlead.cli.doctor import (
    certificates,
    installation,
    network,
    platform,
    pods,
    quotas,
    references,
    renewals,
    rights,
    routes,
    scaling,
)
from fairlead.cli.doctor.finding import Finding, examine
from fairlead.cli.doctor.seen import Seen

CHECKS = (
    *installation.CHECKS,
    *platform.CHECKS,
    *rights.CHECKS,
    *pods.CHECKS,
    *references.CHECKS,
    *certificates.CHECKS,
    *renewals.CHECKS,
    *quotas.CHECKS,
    *routes.CHECKS,
    *scaling.CHECKS,
    *network.CHECKS,
)


def look(context: str | None, namespace: str | None) -> list[Finding]:
    """The findings of every check. Raises Unavailable if the API server does not answer."""
    store = open_store(context, namespace)
    return list(examine(Seen(store.api, store.namespace), CHECKS))
