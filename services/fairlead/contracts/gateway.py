"""The names both sides of the gateway agree on: clusters, their statistics, pins, and the latency grid.

`routing` writes these names into Envoy's configuration and `rollout` reads them back from its counters. A name is
`<role>~<namespace>~<model>~<version>`, with the identity as fifth part only where two versions of one table share
a version string. No part may hold "~" or "_", so dots can become "_" in statistics and come back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from fairlead.contracts.latency import GRID_MS as GRID_MS
from fairlead.contracts.latency import check_boundary as check_boundary
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.errors import Invalid

READY_PATH = "/readyz"
"""Where a service says that new requests are welcome: to a node agent, and to gateways that found it by a name."""
SERVICE_HEADER = "x-service-name"
"""The name by which whoever asks for READY_PATH found the service. One that knows its own name and has another says
421: addresses are given to the next pod, and the same version may serve in two namespaces."""


class Role(StrEnum):
    """What a cluster is for. One version can be in several, each with an ejection state of its own."""

    SPLIT = "split"
    """What the table weighs: users' share of this version."""
    FALLBACK = "fallback"
    """Stable's endpoints as the place where the candidate's failures land."""
    DIRECT = "direct"
    """Pins, mirrors and docs: never ejected, never evidence."""
    AGGREGATE = "aggregate"
    """The candidate's weighted entry: [candidate's split, stable's fallback]."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A cluster's name taken apart. `version` is encoded ("1_2_0-rc_1"); `identity` is None where it was not needed."""

    role: Role
    namespace: str
    model: str
    version: str
    identity: str | None = None


_ROLES = frozenset(Role)
_PART = re.compile(r"[0-9a-z]([0-9a-z.-]*[0-9a-z])?")
_STAT = re.compile(r"cluster\.([^.~]+(?:~[^.~]+){3,4})\.(.+)")


@dataclass(frozen=True, slots=True, order=True)
class GatewaySite:
    """A gateway that should be there, and where its admin page is. In a cluster `name` is its pod's."""

    name: str
    host: str
    admin_port: int


def cluster_name(role: Role, namespace: str, model: str, version: str, identity: str | None = None) -> str:
    """`split~default~iris~1.1.0`; raises Invalid for a part that would make the name ambiguous."""
    parts = (namespace, model, version) if identity is None else (namespace, model, version, identity)
    for part in parts:
        if not _PART.fullmatch(part):
            raise Invalid(
                f"{part!r} cannot be a part of a cluster's name: lower-case letters, digits, '-' and '.' only"
            )
    return "~".join((role.value, *parts))


def encode_version(version: str) -> str:
    """`1.2.0-rc.1` as statistics spell it: `1_2_0-rc_1`."""
    return version.replace(".", "_")


def decode_version(encoded: str) -> str:
    """The version behind a statistic's label: `1_2_0-rc_1` is `1.2.0-rc.1`."""
    return encoded.replace("_", ".")


def stat_name(cluster: str) -> str:
    """A cluster's name without dots: a dot inside a name would split Envoy's statistics in the wrong place."""
    return cluster.replace(".", "_")


def parse_stat(name: str) -> Key | None:
    """The key behind a statistics name (`split~default~iris~1_1_0`); None for a cluster that is not a version's."""
    role, *rest = name.split("~")
    if role not in _ROLES or len(rest) not in (3, 4) or not all(rest):
        return None
    namespace, model, version, *identity = rest
    return Key(Role(role), decode_version(namespace), model, version, identity[0] if identity else None)


def parse_counter(stat: str) -> tuple[Key, str] | None:
    """`cluster.split~default~iris~1_1_0.upstream_rq_total` as (key, "upstream_rq_total"); None for any other stat."""
    found = _STAT.fullmatch(stat)
    key = parse_stat(found[1]) if found else None
    return (key, found[2]) if found and key else None


def identity_part(refs: Iterable[VersionRef], ref: VersionRef) -> str | None:
    """The fifth part of a ref's cluster names: its identity where another of `refs` has the same version string."""
    shared = any(other.version == ref.version and other.identity != ref.identity for other in refs)
    return ref.identity if shared else None


def key_of(role: Role, table: Table, ref: VersionRef) -> Key:
    """The key under which a version of this table is counted."""
    return Key(role, table.namespace, table.model, encode_version(ref.version), identity_part(table.pins, ref))


def pin_name(table: Table, ref: VersionRef) -> str:
    """What to write into `x-model-version` or the path to reach exactly this version.

    Where two share a version string, the plain string means stable, else the candidate, else the first pin; the
    other is reached as `<version>~<identity>`.
    """
    order = [other for other in (table.stable, table.candidate, *table.pins) if other is not None]
    owner = next((other for other in order if other.version == ref.version), ref)
    return ref.version if owner == ref else f"{ref.version}~{ref.identity}"
