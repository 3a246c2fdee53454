"""`fairlead gateway-bootstrap`: prints the bootstrap of an Envoy that gets its configuration from a control plane."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairlead import errors
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.snapshot import Endpoint


def command(
    control_plane: Annotated[str, typer.Option(help="HOST:PORT of the discovery service; end a DNS name with a dot.")],
    cluster: Annotated[str, typer.Option(help="Envoy's cluster name, which all its gateways share.")] = "fairlead",
    admin: Annotated[str, typer.Option(help="ADDRESS:PORT of Envoy's admin page.")] = "127.0.0.1:9901",
    admin_socket: Annotated[
        str | None, typer.Option(help="PATH of a socket for the admin page; at --admin one can then only read.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="Envoy's node id; without it, name it with Envoy's --service-node.")
    ] = None,
    memory: Annotated[int, typer.Option(min=64, help="MiB that Envoy may use; it sheds load before that.")] = 512,
) -> None:
    """Print the Envoy bootstrap configuration of a gateway, as JSON."""
    document = rest_bootstrap(
        _endpoint(control_plane, "--control-plane"),
        admin=_endpoint(admin, "--admin"),
        admin_path=admin_socket,
        cluster=cluster,
        node=node,
        memory_bytes=memory << 20,
    )
    print(json.dumps(document, indent=1, sort_keys=True))


def _endpoint(text: str, option: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.Invalid(f"{option}: {text!r} is not HOST:PORT", hint="write it like control-plane.ml.svc.:8082")
    return Endpoint(host.strip("[]"), int(port))
