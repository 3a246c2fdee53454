"""`fairlead gateway-bootstrap`: what an Envoy that asks a control plane is started with."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fairlead import errors
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.snapshot import Endpoint


def command(
    control_plane: Annotated[str, typer.Option(help="HOST:PORT of the discovery service; a name ends in a dot.")],
    cluster: Annotated[str, typer.Option(help="What its gateways are called together.")] = "fairlead",
    admin: Annotated[str, typer.Option(help="ADDRESS:PORT of the admin page.")] = "127.0.0.1:9901",
    node: Annotated[
        str | None, typer.Option(help="Its name; without it Envoy is told by --service-node, and many share one file.")
    ] = None,
) -> None:
    """Print the bootstrap of a gateway, as JSON."""
    document = rest_bootstrap(
        _endpoint(control_plane, "--control-plane"), admin=_endpoint(admin, "--admin"), cluster=cluster, node=node
    )
    print(json.dumps(document, indent=1, sort_keys=True))


def _endpoint(text: str, option: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise errors.Invalid(f"{option}: {text!r} is not HOST:PORT", hint="for instance control-plane.ml.svc.:8082")
    return Endpoint(host.strip("[]"), int(port))
