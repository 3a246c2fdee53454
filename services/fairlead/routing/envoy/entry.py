"""TLS of the gateway's entry: a listener of its own, and what is left of the one without TLS.

Both have the same routes and the same filters. What the one without TLS does with users' requests is decided before all
of them: it answers, or it sends them to the port with TLS, or it refuses them. The platform's own requests pass it, so
that neither smoke tests nor commands need to believe a certificate that is made for the clients.
"""

from __future__ import annotations

import json

from fairlead.contracts.gateway import PASS_HEADER
from fairlead.routing.envoy.access import hashing
from fairlead.routing.envoy.proto import Json, extension, typed
from fairlead.routing.snapshot import EntryTls

ENTRY = "entry"
"""The listener with TLS."""
FILTER = "fairlead.entry"
"""The filter of the listener without TLS, and the name under which it finds its metadata."""


def gate(entry: EntryTls) -> Json:
    """The filter that decides about requests without TLS."""
    port = str(entry.public_port) if entry.plain == "redirect" else "nil"
    facts = f"local PASS_HEADER = {json.dumps(PASS_HEADER)}\nlocal TLS_PORT = {port}\n"
    program = {"inline_string": facts + hashing("entry.lua")}
    return extension(FILTER, typed("extensions.filters.http.lua.v3.Lua", default_source_code=program))


def own_hash(entry: EntryTls) -> Json:
    """Metadata of the virtual host, by filter: the hash of the platform's own key."""
    return {FILTER: {"own": entry.own_key}}
