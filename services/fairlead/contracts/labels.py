"""Names that objects in a cluster carry: our group and kinds, labels, annotations, and how objects are called.

The charts write them, the store reads them; a test holds the two together.
"""

from __future__ import annotations

from fairlead.contracts.route import VersionRef

GROUP = "fairlead.dev"
API_VERSION = f"{GROUP}/v1alpha1"

MODEL = f"{GROUP}/model"
"""The model that a Deployment, its pods, its headless Service and so its EndpointSlices belong to."""
ROUTE = f"{GROUP}/route"
"""The ModelRoute that an object belongs to; on revisions and actions too."""
VERSION = f"{GROUP}/version"
"""The version's name, as the user wrote it."""
IDENTITY = f"{GROUP}/identity"
"""The ten hex digits of `VersionRef.identity`: what tells two images under one version name apart."""

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
APP_VERSION = "app.kubernetes.io/version"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
COMPONENT_MODEL = "model"
COMPONENT_CONTROL_PLANE = "control-plane"
COMPONENT_GATEWAY = "gateway"

CHANGED_BY = f"{GROUP}/changed-by"
"""On a ModelRoute: JSON {actor, reason, generation} of whoever wrote that generation of the spec by our own command."""
SEAL = f"{GROUP}/seal"
"""On a revision: its hash, so that lists need not carry whole revisions."""
SERVED_AT = f"{GROUP}/served-at"
"""On a revision: its `createdAt`, for the same reason."""
CAUSE = f"{GROUP}/cause"
"""Label on a revision: why it was appended."""
FENCE = f"{GROUP}/fence"
"""On a revision: the lease transition its writer led in. A policy refuses one that is behind the lease."""
LEASE = f"{GROUP}/lease"
"""Label on the Lease that says who may write; its value is `leader`."""

SERVICE_PORT = 8080
PORT_NAME = "http"


def version_name(model: str, ref: VersionRef) -> str:
    """What a version's own objects (Deployment, headless Service, PodDisruptionBudget ...) are called."""
    return f"{model}-{ref.identity}"


def revision_name(route: str, seq: int) -> str:
    """What a revision's object is called. One name per place in the ledger: the API server lets only one be first."""
    return f"{route}-{seq}"


def service_host(model: str, ref: VersionRef, namespace: str, cluster_domain: str = "cluster.local") -> str:
    """The headless Service as a full name: the trailing dot spares the resolver its search list."""
    return f"{version_name(model, ref)}.{namespace}.svc.{cluster_domain}."
