"""Names in the gateway's configuration and statistics: clusters, counters, pins, and the latency grid.

`routing` writes these names into Envoy's configuration and `rollout` reads them back from its counters. A name is
`<role>~<namespace>~<model>~<version>`. The identity is a fifth part, only where two versions of one table share a
version string. No part may contain "~" or "_", so that a dot can be written as "_" in statistics and decoded again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fairlead.contracts.answers import KEEP_HEADER, REVISION_HEADER, SHADOW_HEADER
from fairlead.contracts.latency import GRID_MS as GRID_MS
from fairlead.contracts.latency import check_boundary as check_boundary
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.errors import Invalid

READY_PATH = "/readyz"
"""The readiness path of a model service, polled by the kubelet and by gateways that resolve the service by name."""
LEAVING_HEADER = "x-envoy-immediate-health-check-fail"
"""Sent by a service that drains, with its readiness. A gateway then does not count it as an instance that was lost: it
would ask all instances again, also those that leave, once more than half are not ready. Envoy's own name, "excluded
endpoints" in its documentation of load balancing."""
SERVICE_HEADER = "x-service-name"
"""On requests to READY_PATH: the name under which the caller resolved the service. A service that knows its own name
answers 421 to another name, because addresses are reused by later pods and the same version may serve in two
namespaces."""

ROUTED_HEADER = "x-routed-version"
"""On requests of the candidate's share, from the gateway only: the version string to which the split routed them.
Another version that gets such a request answers in the candidate's place: the request is *spill*. Not set where the
candidate has all requests, because there is nobody else to protect."""

SPILL_REFUSED_HEADER = "x-spill-refused"
"""On a service's answer that refuses spill, so that gateways do not take it for a failure of the instance."""

PASS_HEADER = "x-fairlead-pass"
"""On the platform's own requests to a gateway whose entry has TLS: with its key they pass the port without TLS."""
PlainPort = Literal["closed", "redirect", "open"]
"""What a gateway's port without TLS does where its entry has TLS: `closed` answers only probes and the platform's own
requests, `redirect` sends all others to the port with TLS, `open` answers everything."""

EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")
"""The extensions of the Open Inference Protocol that a client of Triton can use, at a gateway and at a model service;
of the repository, only its index."""

SET_BY_THE_GATEWAY = frozenset(
    {
        "x-request-id",
        "x-client-request-id",
        REVISION_HEADER,
        SHADOW_HEADER,
        KEEP_HEADER,
        "x-forwarded-prefix",
        "x-model-version",
        ROUTED_HEADER,
    }
)
"""Request headers whose value the gateway writes, besides all that begin with `x-envoy-`."""


def sets_header(name: str) -> bool:
    """Whether the gateway sets this request header itself, so that it cannot name a user."""
    return name in SET_BY_THE_GATEWAY or name.startswith("x-envoy-")


class Role(StrEnum):
    """What an Envoy cluster is for. One version can have several clusters, each with its own ejection state."""

    SPLIT = "split"
    """Users' weighted traffic to this version."""
    FALLBACK = "fallback"
    """Stable's endpoints, as the retry target for the candidate's failures."""
    DIRECT = "direct"
    """Pins, mirrors and docs: never ejected, never evidence."""
    AGGREGATE = "aggregate"
    """The candidate's entry in the weighted split: [candidate's split cluster, stable's fallback cluster]."""


@dataclass(frozen=True, slots=True, order=True)
class ClusterKey:
    """The parts of a cluster's name. `version` is encoded ("1_2_0-rc_1"); `identity` is None if the name has none."""

    role: Role
    namespace: str
    model: str
    version: str
    identity: str | None = None


_ROLES = frozenset(Role)
_PART = re.compile(r"[0-9a-z]([0-9a-z.-]*[0-9a-z])?")
_STAT = re.compile(r"cluster\.([^.~]+(?:~[^.~]+){3,4})\.(.+)")


def name_for_gateways(host: str) -> str:
    """The name in the control plane's certificate that gateways verify, from the full name of its Service.

    It is one label longer, so that no certificate for all Services of the namespace has it: models have such a one.
    """
    return f"gateways.{host.removesuffix('.')}"


@dataclass(frozen=True, slots=True, order=True)
class GatewaySite:
    """An expected gateway and the address of its admin interface. In a cluster `name` is the pod's name."""

    name: str
    host: str
    admin_port: int


def cluster_name(role: Role, namespace: str, model: str, version: str, identity: str | None = None) -> str:
    """`split~default~iris~1.1.0`; raises Invalid for a part that would make the name ambiguous."""
    parts = (namespace, model, version) if identity is None else (namespace, model, version, identity)
    for part in parts:
        if not _PART.fullmatch(part):
            raise Invalid(
                f"{part!r} cannot be a part of a cluster's name: use lower-case letters, digits, '-' and '.' only"
            )
    return "~".join((role.value, *parts))


def encode_version(version: str) -> str:
    """`1.2.0-rc.1` as written in statistics: `1_2_0-rc_1`."""
    return version.replace(".", "_")


def decode_version(encoded: str) -> str:
    """The version from its form in statistics: `1_2_0-rc_1` is `1.2.0-rc.1`."""
    return encoded.replace("_", ".")


def stat_name(cluster: str) -> str:
    """A cluster's name without dots, because a dot separates the parts of an Envoy statistic's name."""
    return cluster.replace(".", "_")


def parse_stat(name: str) -> ClusterKey | None:
    """The key of a name in statistics (`split~default~iris~1_1_0`); None for a cluster that is not a version's."""
    role, *rest = name.split("~")
    if role not in _ROLES or len(rest) not in (3, 4) or not all(rest):
        return None
    namespace, model, version, *identity = rest
    return ClusterKey(Role(role), decode_version(namespace), model, version, identity[0] if identity else None)


def parse_counter(stat: str) -> tuple[ClusterKey, str] | None:
    """`cluster.split~default~iris~1_1_0.upstream_rq_total` as (key, "upstream_rq_total"); None for any other stat."""
    found = _STAT.fullmatch(stat)
    key = parse_stat(found[1]) if found else None
    return (key, found[2]) if found and key else None


def identity_part(refs: Iterable[VersionRef], ref: VersionRef) -> str | None:
    """The fifth part of a ref's cluster names: its identity where another of `refs` has the same version string."""
    shared = any(other.version == ref.version and other.identity != ref.identity for other in refs)
    return ref.identity if shared else None


def key_of(role: Role, table: Table, ref: VersionRef) -> ClusterKey:
    """The key under which a version of this table is counted."""
    identity = identity_part(table.pins, ref)
    return ClusterKey(role, table.namespace, table.model, encode_version(ref.version), identity)


def pin_name(table: Table, ref: VersionRef) -> str:
    """The value of `x-model-version`, or the path segment, that selects exactly this version.

    If two versions share a version string, the plain string selects stable, else the candidate, else the first pin.
    The other one is selected as `<version>~<identity>`.
    """
    order = [other for other in (table.stable, table.candidate, *table.pins) if other is not None]
    owner = next((other for other in order if other.version == ref.version), ref)
    return ref.version if owner == ref else f"{ref.version}~{ref.identity}"
