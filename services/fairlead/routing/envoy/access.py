"""Who may call: the filters that verify keys and tokens and count requests, and the clients that they know.

The filters are in the listener, and change with the issuers of tokens and with limits. The clients and their keys are
in the routes: a changed key closes no connection, and the buckets of the limits stay as full as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from fairlead.contracts.access import KEY_HEADER, PLATFORM, Access, Client, Limit, TokenIssuer
from fairlead.routing.envoy.proto import CLUSTER, Json, address, extension, typed
from fairlead.routing.snapshot import Endpoint, Guard

FILTER = "envoy.filters.http.lua"
"""The filter that decides, and the name under which it finds its metadata."""
DECISION = "fairlead.access"
"""The dynamic metadata of a request: `client`; `code` of a refusal; `limited`, `model` and `cost` where the
client has a limit; `retry` where it has one, or has used its quota up."""
_HTTP = "envoy.filters.http."
_TYPES = "extensions.filters.http."
CREDENTIAL_HEADERS = ("authorization", KEY_HEADER)
TIMEOUT_S = 5


def decided(field: str) -> str:
    """A field of the decision, for a log or an answer."""
    return f"%DYNAMIC_METADATA({DECISION}:{field})%"


def access_filters(guard: Guard) -> Iterator[Json]:
    """In the order in which a request passes them: tokens, the decision, limits."""
    if guard.access.tokens:
        yield extension(f"{_HTTP}jwt_authn", _tokens(guard.access))
    program = {"inline_string": hashing("access.lua")}
    yield extension(FILTER, typed(f"{_TYPES}lua.v3.Lua", default_source_code=program))
    if descriptors := list(_descriptors(guard.access)):
        yield extension(f"{_HTTP}local_ratelimit", _limits(descriptors))


def access_clusters(guard: Guard | None) -> Iterator[Json]:
    """The servers of public keys."""
    for place, issuer in enumerate(guard.access.tokens if guard else ()):
        if issuer.jwks_server and issuer.ca_file:
            yield _jwks_cluster(_jwks_name(place), Endpoint(*issuer.jwks_server), issuer.ca_file)


def known_clients(guard: Guard) -> Json:
    """Metadata of the virtual host, by filter: the clients by hashed key, by claims, and what each may do."""
    clients = guard.access.clients
    known: dict[str, Any] = {key: name for name, client in clients.items() for key in client.keys}
    known |= {
        f"client:{name}": _client(client, guard.gateways, guard.closed.get(name)) for name, client in clients.items()
    }
    if claims := [{"client": name, "claims": one.claims} for name, one in clients.items() if one.claims is not None]:
        known["claims"] = claims
    if guard.own_key:
        known |= {guard.own_key: PLATFORM, f"client:{PLATFORM}": {}}
    return {FILTER: known}


def of_model(model: str) -> Json:
    """Metadata of the routes of a model, by filter."""
    return {FILTER: {"model": model}}


def open_to_all() -> Json:
    """For a route that needs no credential."""
    return {FILTER: typed("config.route.v3.FilterConfig", disabled=True)}


def _client(client: Client, gateways: int, closed_until: int | None) -> Json:
    """What the decision needs to know. Struct has no integers, so numbers are text."""
    limits = [one for one in (client.limit, *client.model_limits.values()) if one is not None]
    allowed: Json = {} if client.models is None else {"models": list(client.models)}
    if closed_until is not None:
        allowed["closed"] = str(closed_until)
    if not limits:
        return allowed
    # Each gateway has the whole bucket, and a request takes its share of all of them. So the number of gateways is a
    # fact of the routes, and the buckets stay when it changes. A bucket smaller than the cost would never let one pass.
    cost = max(1, min(gateways, *(one.most for one in limits)))
    slowest = min(one.rate for one in limits)
    return {**allowed, "cost": str(cost), "retry": str(max(1, math.ceil(cost / slowest)))}


def _tokens(access: Access) -> Json:
    # Without a token, or with a bad one, the request goes on: the decision sees why, and a key may be there instead.
    names = [f"issuer-{place}" for place, _ in enumerate(access.tokens)]
    options = [*({"provider_name": name} for name in names), {"allow_missing_or_failed": {}}]
    return typed(
        f"{_TYPES}jwt_authn.v3.JwtAuthentication",
        providers={name: _provider(place, access.tokens[place]) for place, name in enumerate(names)},
        rules=[{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": options}}}],
    )


def _provider(place: int, issuer: TokenIssuer) -> Json:
    if issuer.jwks_url:
        uri = {"uri": issuer.jwks_url, "cluster": _jwks_name(place), "timeout": f"{TIMEOUT_S}s"}
        keys: Json = {"remote_jwks": {"http_uri": uri, "cache_duration": "600s", "async_fetch": {}}}
    else:
        keys = {"local_jwks": {"inline_string": json.dumps(issuer.jwks, sort_keys=True)}}
    return {
        "issuer": issuer.issuer,
        "audiences": list(issuer.audiences),
        **keys,
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "require_expiration": True,
        "forward": True,  # the decision counts credentials, and removes them
        "payload_in_metadata": "token",
        "failed_status_in_metadata": "failure",
    }


def _jwks_name(place: int) -> str:
    return f"jwks-{place}"


def _jwks_cluster(name: str, server: Endpoint, authorities: str) -> Json:
    san = {"san_type": "DNS", "matcher": {"exact": server.host}}
    tls = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni=server.host,
        common_tls_context={
            "validation_context": {"trusted_ca": {"filename": authorities}, "match_typed_subject_alt_names": [san]}
        },
    )
    return {
        "@type": CLUSTER,
        "name": name,
        "type": "LOGICAL_DNS",
        "dns_lookup_family": "ALL",
        "connect_timeout": f"{TIMEOUT_S}s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(server)}}]}],
        },
        "transport_socket": extension("envoy.transport_sockets.tls", tls),
    }


def _descriptors(access: Access) -> Iterator[Json]:
    for name, client in access.clients.items():
        if client.limit is not None:
            yield {"entries": [{"key": "client", "value": name}], "token_bucket": _bucket(client.limit)}
        for model, limit in client.model_limits.items():
            entries = [{"key": "client", "value": name}, {"key": "model", "value": model}]
            yield {"entries": entries, "token_bucket": _bucket(limit)}


def _bucket(limit: Limit) -> Json:
    """One token in each interval, or several where an interval would be shorter than the 50 ms that Envoy allows."""
    tokens = math.ceil(limit.rate / 20)
    return {
        "max_tokens": limit.most,
        "tokens_per_fill": tokens,
        "fill_interval": f"{tokens / limit.rate:.9f}s",
    }


def _limits(descriptors: list[Json]) -> Json:
    client, model = _descriptor("client", "limited"), _descriptor("model", "model")
    cost = {"hits_addend": {"format": decided("cost")}}
    every = {"default_value": {"numerator": 100}}
    return typed(
        f"{_TYPES}local_ratelimit.v3.LocalRateLimit",
        stat_prefix="access",
        filter_enabled=every,
        filter_enforced=every,
        descriptors=descriptors,
        rate_limits=[{"actions": [client], **cost}, {"actions": [client, model], **cost}],
    )


def _descriptor(key: str, field: str) -> Json:
    return {"metadata": {"descriptor_key": key, "metadata_key": {"key": DECISION, "path": [{"key": field}]}}}


@cache
def hashing(program: str) -> str:
    """A program of this folder, after the function with which it hashes keys."""
    folder = resources.files("fairlead.routing.envoy")
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("sha256.lua", program))
