"""Generates the gateway's bootstrap for the platform chart with the control plane's own code.

The address of the control plane and what depends on the memory limit are placeholders, which the chart replaces.
"""

from __future__ import annotations

import json

from fairlead.contracts.gateway import name_for_gateways
from fairlead.routing.envoy.bootstrap import rest_bootstrap, token_secret
from fairlead.routing.envoy.overload import MEMORY_BYTES, heap_bytes, max_connections
from fairlead.routing.envoy.proto import Json
from fairlead.routing.envoy.tls import entry_files, secret_files
from fairlead.routing.snapshot import Endpoint

CONTROL_PLANE = Endpoint("CONTROL-PLANE.invalid.", 8082)
"""The placeholder. The chart replaces it with the name of the control plane's Service."""
SECURE_PORT = 8443
"""Where gateways ask the control plane with TLS."""
ADMIN = Endpoint("0.0.0.0", 9901)
"""All addresses of the pod, because the kubelet and the control plane read the admin page from outside."""
ADMIN_SOCKET = "/tmp/admin.sock"
"""The admin page itself, in the container's own scratch volume."""
DRAIN = Endpoint("127.0.0.1", 9902)
"""Where drain.sh takes the gateway out of service."""
TOKEN = "/var/run/secrets/fairlead.dev/gateway/token"
"""Where the pod has its token."""
CERTIFICATES = "/var/run/secrets/fairlead.dev/tls"
"""Where the pod has its certificate and the authorities, with TLS."""
ENTRY, CLIENT_CA = (f"/var/run/secrets/fairlead.dev/{name}" for name in ("entry", "client-ca"))
"""Where the pod has the certificate that clients see, and the authorities of theirs."""
SECRETS = "/etc/fairlead"
"""Where the pod has the files that name the places of its certificates to Envoy."""
TOKEN_SECRET = "/etc/fairlead/gateway-token.json"
"""Where the pod has the file that names the token's place to Envoy."""

_OF_MEMORY = (
    ("max_heap_size_bytes", heap_bytes(MEMORY_BYTES), "HEAP-BYTES"),
    ("max_active_downstream_connections", max_connections(MEMORY_BYTES), "MAX-CONNECTIONS"),
)
"""Fields whose value follows the memory limit of the pod, and their placeholders."""


def text() -> str:
    """The content of charts/platform/files/bootstrap.json. It has no node: that is set on Envoy's command line."""
    document = _document(CONTROL_PLANE)
    written = json.dumps({key: value for key, value in document.items() if key != "node"}, indent=1) + "\n"
    for field, value, placeholder in _OF_MEMORY:
        assert written.count(f'"{field}": {value}') == 1
        written = written.replace(f'"{field}": {value}', f'"{field}": "{placeholder}"')
    return written


def secure_text() -> str:
    """The content of charts/platform/files/control-plane-tls.json: the control plane's cluster with TLS."""
    name = name_for_gateways(CONTROL_PLANE.host)
    document = _document(Endpoint(CONTROL_PLANE.host, SECURE_PORT, SECRETS, name=name))
    return json.dumps(document["static_resources"]["clusters"][0], indent=1) + "\n"


def _document(control_plane: Endpoint) -> Json:
    return rest_bootstrap(
        control_plane, admin=ADMIN, admin_path=ADMIN_SOCKET, drain=DRAIN, cluster="fairlead", token=TOKEN_SECRET
    )


def token_text() -> str:
    """The content of charts/platform/files/gateway-token.json."""
    return json.dumps(token_secret(TOKEN), indent=1) + "\n"


def tls_texts() -> dict[str, str]:
    """The content of the files in charts/platform/files that say where certificates and authorities are, by name."""
    files = {**secret_files(CERTIFICATES), **entry_files(ENTRY, CLIENT_CA)}
    return {name: json.dumps(content, indent=1) + "\n" for name, content in files.items()}
