"""The endpoints of each version: instance addresses on one machine, DNS names in a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from fairlead.contracts import labels
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.routing.snapshot import Endpoint

SERVICE_PORT = 8080
"""The port on which every model service listens in a cluster."""

Key = tuple[str, str, VersionRef]
"""Namespace, model and version."""
Endpoints = Mapping[Key, Sequence[Endpoint]]


class EndpointSource(Protocol):
    """Finds the endpoints of the versions that tables name."""

    def endpoints(self, tables: Iterable[Table], often: Collection[Key] = ()) -> Endpoints:
        """By namespace, model and version. A version that is not there has an empty cluster.

        `often` are the versions whose instances gateways should find soon, because requests may be waiting for them.
        """
        ...


class InstanceStore(Protocol):
    """The part of the store that lists instances."""

    def instances(self) -> list[Instance]: ...  # noqa: D102


class ReadyInstances:
    """The addresses of ready instances. The platform checks readiness itself, so the endpoints follow it."""

    def __init__(self, store: InstanceStore) -> None:
        self._store = store

    def endpoints(self, tables: Iterable[Table], often: Collection[Key] = ()) -> Endpoints:  # noqa: ARG002
        """Every ready instance, whether or not a table names its version."""
        found: dict[Key, list[Endpoint]] = {}
        for instance in self._store.instances():
            if instance.ready:
                key = (instance.namespace, instance.model, instance.ref)
                found.setdefault(key, []).append(Endpoint(instance.host, instance.port))
        return {key: sorted(hosts) for key, hosts in found.items()}


class ServiceNames:
    """The DNS name of each version's headless Service. Every gateway looks up its ready pods itself.

    So pods come and go without a new publication, also while no control plane runs.
    """

    def __init__(self, cluster_domain: str = "cluster.local", port: int = SERVICE_PORT, *, secrets: str = "") -> None:
        """`secrets` is a folder of every gateway, for TLS (`routing.envoy.tls`); empty: no TLS."""
        self._domain, self._port, self._secrets = cluster_domain.strip("."), port, secrets

    def endpoints(self, tables: Iterable[Table], often: Collection[Key] = ()) -> Endpoints:
        """One name for each version that a table can reach."""
        found: dict[Key, Sequence[Endpoint]] = {}
        for table in tables:
            for ref in table.pins:
                key = (table.namespace, table.model, ref)
                found[key] = [Endpoint(self._name(table, ref), self._port, self._secrets, often=key in often)]
        return found

    def _name(self, table: Table, ref: VersionRef) -> str:
        return labels.service_host(table.model, ref, table.namespace, self._domain)
