"""The settings of the control plane in a cluster, as charts/platform passes them: environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.gateway import PlainPort, name_for_gateways
from fairlead.contracts.parsing import parse, parse_yaml
from fairlead.contracts.platform import GatewaySettings
from fairlead.contracts.prometheus import MetricSettings
from fairlead.control.endpoints import ServiceNames
from fairlead.control.request_records import access_log, tracing
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.snapshot import Endpoint, EntryTls, Settings

API_PORT = 8081
XDS_PORT = 8082
GATEWAY_PORT = 8080
GATEWAY_TLS_PORT = 8443
GATEWAY_OUTPUT = "/dev/stdout"
"""Where gateways write the access log: into the log of their pods."""
GATEWAY_SECRETS = "/etc/fairlead"
"""The folder in every gateway that says where its certificates are."""


@dataclass(frozen=True, slots=True)
class ChartSettings:
    """The settings that the chart passes to this process, as environment variables."""

    namespace: str
    release: str
    pod: str
    address: str
    """Where this replica listens: the pod's own address."""
    namespaces: tuple[str, ...] = ()
    """The further namespaces whose models it serves."""
    cluster_domain: str = "cluster.local"
    gateway_port: int = 80
    """The port of the gateways' Service."""
    max_request_bytes: int = 4 << 20
    receive_timeout_s: float = 30.0
    hosts: tuple[str, ...] = ()
    """The `Host` names that gateways answer for; all if empty."""
    cors_origins: tuple[str, ...] = ()
    grpc: bool = False
    """Whether gateways answer clients of gRPC."""
    access_file: str = ""
    """The mounted file that says who may call; everybody if empty."""
    records: GatewaySettings = GatewaySettings(access_log="none")
    """What gateways record of requests: its `tracing` and its `access_log`."""
    tls: str = ""
    """The mounted folder with this process's tls.crt, tls.key and ca.crt, for TLS with models; empty: no TLS."""
    gateway_tls: str = ""
    """The mounted folder with the same files, for the port with TLS that gateways ask; empty: there is none."""
    gateway_also_plain: bool = False
    """With it: whether the ports without TLS answer gateways still."""
    entry_port: int = 0
    """The port of the gateways' Service for TLS with clients; 0: the entry has no TLS."""
    entry_plain: PlainPort = "closed"
    """With it: what the port without TLS does."""
    entry_asks: bool = False
    """With it: whether a client needs a certificate."""
    check_gateway_tokens: bool = False
    """Whether a gateway must prove with its pod's token which one it is."""
    metrics: MetricSettings = MetricSettings()
    """Where the metrics of rollouts come from."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ChartSettings:
        """Raises Invalid naming what is missing."""
        names = {
            "namespace": "FAIRLEAD_NAMESPACE",
            "release": "FAIRLEAD_RELEASE",
            "pod": "POD_NAME",
            "address": "POD_IP",
        }
        if missing := [name for name in names.values() if not environment.get(name)]:
            raise errors.Invalid(
                f"{', '.join(missing)} must be set",
                hint="charts/platform sets them; outside a cluster use `fairlead up`",
            )
        port = environment.get("FAIRLEAD_GATEWAY_PORT") or "80"
        if not port.isdigit() or not 0 < int(port) < 1 << 16:
            raise errors.Invalid(f"FAIRLEAD_GATEWAY_PORT: {port!r} is not a port")
        entry = environment.get("FAIRLEAD_ENTRY_TLS_PORT") or "0"
        if not entry.isdigit() or int(entry) >= 1 << 16:
            raise errors.Invalid(f"FAIRLEAD_ENTRY_TLS_PORT: {entry!r} is not a port")
        said = environment.get("FAIRLEAD_ENTRY_PLAIN") or "closed"
        plain: PlainPort | None = next((one for one in get_args(PlainPort) if one == said), None)
        if plain is None:
            raise errors.Invalid(f"FAIRLEAD_ENTRY_PLAIN: {said!r} is not {' or '.join(get_args(PlainPort))}")
        size = environment.get("FAIRLEAD_MAX_REQUEST_BYTES") or str(4 << 20)
        if not size.isdigit() or int(size) < 1024:
            raise errors.Invalid(f"FAIRLEAD_MAX_REQUEST_BYTES: {size!r} is not a number of bytes from 1024 up")
        receive = environment.get("FAIRLEAD_RECEIVE_SECONDS") or "30"
        if not receive.isdigit() or not int(receive):
            raise errors.Invalid(f"FAIRLEAD_RECEIVE_SECONDS: {receive!r} is not a number of seconds from 1 up")
        return cls(
            **{field: environment[name] for field, name in names.items()},
            namespaces=_namespaces(environment.get("FAIRLEAD_NAMESPACES") or "", environment["FAIRLEAD_NAMESPACE"]),
            cluster_domain=environment.get("FAIRLEAD_CLUSTER_DOMAIN") or "cluster.local",
            gateway_port=int(port),
            max_request_bytes=int(size),
            receive_timeout_s=float(receive),
            hosts=_listed(environment, "FAIRLEAD_HOSTS", "hosts").hosts,
            cors_origins=_listed(environment, "FAIRLEAD_CORS_ORIGINS", "corsOrigins").cors_origins,
            access_file=environment.get("FAIRLEAD_ACCESS_FILE") or "",
            tls=environment.get("FAIRLEAD_TLS") or "",
            gateway_tls=environment.get("FAIRLEAD_GATEWAY_TLS") or "",
            gateway_also_plain=_is_on(environment, "FAIRLEAD_GATEWAY_ALSO_PLAIN"),
            entry_port=int(entry),
            entry_plain=plain,
            entry_asks=_is_on(environment, "FAIRLEAD_ENTRY_CLIENT_CA"),
            grpc=_is_on(environment, "FAIRLEAD_GRPC"),
            check_gateway_tokens=_is_on(environment, "FAIRLEAD_CHECK_GATEWAY_TOKENS"),
            metrics=_metrics(environment.get("FAIRLEAD_METRICS") or "{}"),
            records=_records(environment.get("FAIRLEAD_REQUEST_RECORDS") or '{"accessLog":"none"}'),
        )

    @property
    def control_plane(self) -> str:
        """The name of the control plane's Service, Lease and Deployment."""
        return f"{self.release}-control-plane"

    @property
    def publication(self) -> str:
        """The name of the ConfigMap that holds the publication: what gateways may get now."""
        return f"{self.release}-publication"

    @property
    def gateway_account(self) -> str:
        """The user name of the gateways' ServiceAccount."""
        return f"system:serviceaccount:{self.namespace}:{self.release}-gateway"

    @property
    def gateway(self) -> Endpoint:
        """The gateways' Service, through which users send requests."""
        return Endpoint(self.host(f"{self.release}-gateway"), self.gateway_port)

    @property
    def asked(self) -> Endpoint:
        """Where gateways ask about requests that wait, and for the list of models.

        With TLS only when all gateways have certificates: one without the files would reject the table.
        """
        host = self.host(self.control_plane)
        if not self.gateway_tls or self.gateway_also_plain:
            return Endpoint(host, API_PORT)
        return Endpoint(host, labels.TLS_PORT, GATEWAY_SECRETS, name=name_for_gateways(host))

    def host(self, service: str) -> str:
        """The full DNS name of a Service of this namespace."""
        return f"{service}.{self.namespace}.svc.{self.cluster_domain.strip('.')}."

    def service_names(self) -> ServiceNames:
        """Where gateways find the instances of models, and whether they speak TLS there."""
        if not self.tls:
            return ServiceNames(self.cluster_domain)
        return ServiceNames(self.cluster_domain, labels.TLS_PORT, secrets=GATEWAY_SECRETS)

    def settings(self) -> Settings:
        """The settings of every gateway, besides the tables."""
        entry = EntryTls(GATEWAY_TLS_PORT, GATEWAY_SECRETS, self.entry_port, self.entry_asks, self.entry_plain)
        service = self.gateway.host  # the control plane's own requests have it
        return Settings(
            host="0.0.0.0",
            port=GATEWAY_PORT,
            control=self.asked,
            routes_from=from_control_plane(),
            max_request_bytes=self.max_request_bytes,
            receive_timeout_s=self.receive_timeout_s,
            hosts=(*self.hosts, service, service.removesuffix(".")) if self.hosts else (),
            cors_origins=self.cors_origins,
            entry=entry if self.entry_port else None,
            access_log=access_log(self.records.access_log, GATEWAY_OUTPUT),
            tracing=tracing(self.records.tracing),
            grpc=self.grpc,
            holds=True,
        )


def _records(text: str) -> GatewaySettings:
    """Parse FAIRLEAD_REQUEST_RECORDS: JSON with the fields of platform.yaml."""
    return parse_yaml(GatewaySettings, text, "FAIRLEAD_REQUEST_RECORDS")


def _listed(environment: Mapping[str, str], name: str, field: str) -> GatewaySettings:
    """This variable, entries between commas, as a field of platform.yaml."""
    entries = [one.strip() for one in environment.get(name, "").split(",")]
    return parse(GatewaySettings, {field: [one for one in entries if one]}, name)


def _namespaces(text: str, own: str) -> tuple[str, ...]:
    """FAIRLEAD_NAMESPACES, names between commas, each once and without the platform's own."""
    names = dict.fromkeys(name for one in text.split(",") if (name := one.strip()) and name != own)
    if wrong := [name for name in names if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)]:
        raise errors.Invalid(f"FAIRLEAD_NAMESPACES: {wrong[0]!r} is not the name of a namespace")
    return tuple(names)


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    """This variable, true or false; false if it is not set."""
    value = environment.get(name) or "false"
    if value not in ("true", "false"):
        raise errors.Invalid(f"{name}: {value!r} is neither true nor false")
    return value == "true"


def _metrics(text: str) -> MetricSettings:
    """Parse FAIRLEAD_METRICS: JSON with the same fields as in platform.yaml."""
    return parse_yaml(MetricSettings, text, "FAIRLEAD_METRICS")
