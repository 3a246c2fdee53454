"""Kubernetes names: our API group, labels, annotations, and the names of objects.

The charts write them and the store reads them; a test checks that both use the same names.
"""

from __future__ import annotations

from fairlead.contracts.route import VersionRef

GROUP = "fairlead.dev"
API_VERSION = f"{GROUP}/v1alpha1"

MODEL = f"{GROUP}/model"
"""Label: the model that a Deployment, its pods, its headless Service and its EndpointSlices belong to."""
ROUTE = f"{GROUP}/route"
"""Label: the ModelRoute that an object belongs to; also on revisions and actions."""
VERSION = f"{GROUP}/version"
"""The version's name, as the user wrote it."""
IDENTITY = f"{GROUP}/identity"
"""The ten hex digits of `VersionRef.identity`, which distinguish two images under one version name."""

SCALED_BY = f"{GROUP}/scaled-by"
"""Label on a Deployment whose number of pods somebody else than its chart writes."""
SCALED_BY_CONTROL_PLANE = "control-plane"
SCALED_BY_KEDA = "keda"
SCALED_BY_HPA = "hpa"

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
"""Annotation on a ModelRoute: "<generation> <user>", who wrote this generation of the spec. A policy denies others."""
CHANGE_REASON = f"{GROUP}/change-reason"
"""Annotation on a ModelRoute: why that user changed the spec."""
ACCEPT_BREAKING = f"{GROUP}/accept-breaking"
"""Annotation on a ModelRoute, also on one machine: the version whose breaking types somebody has accepted, in the form
of `contracts.acceptance`."""
SEAL = f"{GROUP}/seal"
"""Annotation on a revision: its hash, so that a list of metadata has it without the whole revision."""
SERVED_AT = f"{GROUP}/served-at"
"""Annotation on a revision: its `createdAt`, for the same reason."""
CAUSE = f"{GROUP}/cause"
"""Label on a revision: why it was appended."""
FENCE = f"{GROUP}/fence"
"""Annotation on a revision: the lease transition of its writer. A policy denies one that is older than the lease's."""
LEASE = f"{GROUP}/lease"
"""Label on the Lease that elects the leader; its value is `leader`. The leader has one more in each further namespace
that the platform serves."""
PLATFORM = f"{GROUP}/platform"
"""Label on what a platform has in a further namespace that it serves: the platform's own namespace."""

SERVICE_PORT = 8080
TLS_PORT = 8443
"""The port of a model service with TLS, in a cluster."""
PORT_NAME = "http"


def version_name(model: str, ref: VersionRef) -> str:
    """The name of a version's own objects (Deployment, headless Service, PodDisruptionBudget ...)."""
    return f"{model}-{ref.identity}"


def served_name(release: str, platform: str) -> str:
    """The name of what a platform has in a further namespace that it serves: its Lease, its Role and so on.

    With the platform's own namespace behind the dot, a platform that is installed there has other names.
    """
    return f"{release}-control-plane.{platform}"


def revision_name(route: str, seq: int) -> str:
    """The name of a revision's object: one name per sequence number, so the API server accepts only one of each."""
    return f"{route}-{seq}"


def service_host(model: str, ref: VersionRef, namespace: str, cluster_domain: str = "cluster.local") -> str:
    """The headless Service's full DNS name. With the trailing dot the resolver does not try its search list."""
    return f"{version_name(model, ref)}.{namespace}.svc.{cluster_domain}."
