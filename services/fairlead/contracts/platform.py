"""`platform.yaml`: the settings of a platform on one machine, read by `fairlead up`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fairlead.contracts.access import KEY_HEADER
from fairlead.contracts.base import Document
from fairlead.contracts.gates import is_custom
from fairlead.contracts.gateway import PASS_HEADER, PlainPort, sets_header
from fairlead.contracts.manifest import ModelName, Version
from fairlead.contracts.prometheus import MetricSettings
from fairlead.contracts.route import MinInstances, MirrorSpec, ScaleToZero, Sticky, Strategy, Timeouts
from fairlead.contracts.tracing import AccessLog, TracingSettings

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])$")]
"""A host without its port, in lower case: a name, `*.` and a name, an address (IPv6 in brackets), or `*`."""

Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^\sA-Z,/?#@*]+)$")]
"""An origin as browsers send it: scheme, host and, if it is not the scheme's own, port, without a path; or `*`."""


class AuthSettings(Document):
    """Who may call."""

    file: Annotated[str, Field(min_length=1)]
    """A file with clients, hashed keys and limits, which only you can open; relative to this file (docs/access.md)."""


class EntryTlsSettings(Document):
    """TLS of the public endpoint, on a port of its own."""

    certificate: Annotated[str, Field(min_length=1)]
    """The certificate that clients see, followed by those between it and its authority, as a PEM file; relative to this
    file (docs/tls.md)."""
    key: Annotated[str, Field(min_length=1)]
    """Its private key, not encrypted, as a PEM file."""
    client_ca: Annotated[str, Field(min_length=1)] | None = None
    """The authorities of clients, as a PEM file: who has no certificate of them gets no connection. Null: all may."""
    port: Port = 8443
    """The port with TLS, on loopback."""
    plain: PlainPort = "closed"
    """What `port` of the gateway does: `closed`, only probes; `redirect`, send clients to the port with TLS; `open`."""

    @model_validator(mode="after")
    def _nobody_goes_around_it(self) -> Self:
        if self.client_ca is not None and self.plain == "open":
            raise ValueError(
                "plain: open lets everybody in without the certificate that clientCa asks for; write closed or redirect"
            )
        return self


class GatewaySettings(Document):
    """The public endpoint."""

    port: Port = 8080
    """The port on loopback. `fairlead up --port` overrides it."""
    max_request_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 << 20
    """The largest request body, in bytes."""
    hosts: tuple[Host, ...] = ()
    """Hosts that are answered in addition to loopback's own: names, `*.name`, or `*` for all."""
    cors_origins: tuple[Origin, ...] = ()
    """Exact origins that browsers may call from; none by default."""
    grpc: bool = False
    """Whether it also answers clients of gRPC (docs/grpc.md)."""
    auth: AuthSettings | None = None
    """Who may call; null: everybody who reaches the port."""
    tls: EntryTlsSettings | None = None
    """TLS with clients; null: none."""
    tracing: TracingSettings | None = None
    """Spans of requests, from the gateway and from the services; null: none."""
    access_log: AccessLog = "failures"
    """What is logged of requests: `none`, `failures`, `all`, or all failures and a share of the others: `1%`."""

    @property
    def is_gated(self) -> bool:
        """Whether `port` answers only probes and the platform's own requests."""
        return self.tls is not None and self.tls.plain != "open"

    def own_headers(self, key: str) -> dict[str, str]:
        """The headers of the platform's own requests to `port`, with its own key."""
        return {**({KEY_HEADER: key} if self.auth else {}), **({PASS_HEADER: key} if self.is_gated else {})}

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        return f"http://127.0.0.1:{self.port}" if self.tls is None else f"https://127.0.0.1:{self.tls.port}"


class ControlSettings(Document):
    """The control plane's API."""

    port: Port = 8081
    """The port on loopback. `fairlead up --control-port` overrides it."""


class LocalVersion(Document):
    """One model version: its folder, relative to `platform.yaml`, and the number of processes that serve it."""

    source: str
    """The model folder, relative to this file."""
    instances: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes serve the version."""
    min_instances: MinInstances | None = None
    """0: none of them runs while nobody uses the version; null: they always run."""


class LocalModel(Document):
    """One model: its versions, the one to serve, and the release strategy."""

    versions: Annotated[dict[Version, LocalVersion], Field(min_length=1, max_length=64)]
    """The versions, by name. A version never changes: changed content needs a new name."""
    target: Version
    """The version to serve. A release changes only this."""
    sticky: Sticky | None = Sticky()
    """How a user keeps the same version; null assigns each request at random."""
    timeouts: Timeouts = Timeouts()
    scale_to_zero: ScaleToZero = ScaleToZero()
    """When versions with `minInstances: 0` become cold, and how requests wait for them."""
    mirrors: tuple[MirrorSpec, ...] = ()
    """Versions that get mirrored requests."""
    strategy: Strategy = Strategy()

    @model_validator(mode="after")
    def _gateway_can_serve_it(self) -> Self:
        if self.sticky is not None and sets_header(self.sticky.header):
            raise ValueError(
                f"sticky.header: the gateway sets {self.sticky.header} itself, differently in each request; "
                "name a header that clients send, such as x-user-id"
            )
        mirrored = [mirror.version for mirror in self.mirrors]
        if twice := sorted({version for version in mirrored if mirrored.count(version) > 1}):
            raise ValueError(f"mirrors: {twice[0]!r} is there twice; write it once, with the sum of both shares")
        return self

    @model_validator(mode="after")
    def _something_may_be_cold(self) -> Self:
        if "scale_to_zero" in self.model_fields_set and all(
            one.min_instances is None for one in self.versions.values()
        ):
            raise ValueError(
                "scaleToZero: it changes nothing, because every version always runs; write minInstances: 0 beside the "
                "source of those that may stop"
            )
        return self

    @model_validator(mode="after")
    def _target_exists(self) -> Self:
        if self.target not in self.versions:
            raise ValueError(f"target {self.target!r} is not one of versions: {', '.join(self.versions)}")
        return self


class Platform(Document):
    """The whole file. Models can also be added later with `fairlead deploy`."""

    gateway: GatewaySettings = GatewaySettings()
    control: ControlSettings = ControlSettings()
    metrics: MetricSettings = MetricSettings()
    models: dict[ModelName, LocalModel] = {}
    """The models, by name. The name is a part of the public path."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = {"gateway.port": self.gateway.port, "control.port": self.control.port}
        if self.gateway.tls is not None:
            ports["gateway.tls.port"] = self.gateway.tls.port
        for name, port in ports.items():
            if twice := [other for other in ports if other != name and ports[other] == port]:
                raise ValueError(f"{name} and {twice[0]} are both {port}")
        return self

    @model_validator(mode="after")
    def _custom_gates_are_counted(self) -> Self:
        if self.metrics.prometheus is None:
            for name, model in self.models.items():
                for index, gate in enumerate(model.strategy.gates):
                    if is_custom(gate.name):
                        path = f"models.{name}.strategy.gates.{index}.promql"
                        raise ValueError(f"{path}: no Prometheus is configured: set metrics.prometheus.url")
        return self


class RunningPlatform(Document):
    """The running platform, or the last one: written by the supervisor, read by the control plane and the commands."""

    pid: int
    gateway: GatewaySettings
    control: ControlSettings
    metrics: MetricSettings = MetricSettings()
    admin_port: Port
