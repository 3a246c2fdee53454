"""Routes: the rules of every table, as one virtual host.

Envoy matches a request only against the rules of one model, which it finds by the path's prefix. It does not try the
rules of all models in order, so a match costs the same with a thousand models as with ten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from fairlead.contracts.answers import REVISION_HEADER
from fairlead.contracts.route import LONGEST_WAIT_S, VersionRef
from fairlead.routing.envoy.access import CREDENTIAL_HEADERS, known_clients, of_model, open_to_all
from fairlead.routing.envoy.actions import answer_record_headers, pin, retries, split
from fairlead.routing.envoy.entry import own_hash
from fairlead.routing.envoy.grpc import grpc_routes
from fairlead.routing.envoy.holding import held
from fairlead.routing.envoy.proto import CONTROL, MODELS, ROUTES, Json, extension, longest_prefix, put, seconds, typed
from fairlead.routing.rules import (
    BLANK,
    EXPLAIN_HEADER,
    VERSION_HEADER,
    Path,
    PathMatch,
    Rule,
    RuleAction,
    bases,
    rules,
)
from fairlead.routing.snapshot import EntryTls, Guard, Routed

CONTROL_TIMEOUT_S = 5.0
GRPC_REFUSED = (
    "gRPC is off at this gateway; turn it on with gateway.grpc, or use the HTTP clients: tritonclient.http, or "
    "InferenceRESTClient of kserve"
)
RETRY_PENDING_S = 2
"""The `retry-after` of a model that has no ready version yet."""


def route_configuration(
    routed: Sequence[Routed],
    routes: Mapping[str, Sequence[Json]],
    *,
    pending: Iterable[str],
    hosts: Sequence[str],
    cors_origins: Sequence[str],
    guard: Guard | None = None,
    entry: EntryTls | None = None,
    grpc: bool = False,
) -> Json:
    """The route configuration with the `routes` of all tables. Its metadata lists the revisions it was made from."""
    waiting = {base: [_pending(model)] for model in pending for base in bases(model)}
    cors = (
        {"typed_per_filter_config": {"envoy.filters.http.cors": _cors(cors_origins, routed, guarded=guard is not None)}}
        if cors_origins
        else {}
    )
    elsewhere = _elsewhere(hosts, guarded=guard is not None) if hosts and "*" not in hosts else None
    facts = {**(known_clients(guard) if guard else {}), **(own_hash(entry) if entry else {})}
    known = {"metadata": {"filter_metadata": facts}} if facts else {}
    return {
        "@type": ROUTES,
        "name": MODELS,
        **({"ignore_port_in_host_matching": True} if elsewhere else {}),
        "metadata": {"filter_metadata": {"fairlead": {"revisions": {one.route: one.seq for one in routed}}}},
        "virtual_hosts": [
            {
                "name": MODELS,
                "domains": list(dict.fromkeys(hosts)) if elsewhere else ["*"],
                "include_request_attempt_count": True,
                "retry_policy": retries(idempotent=True),  # for every route without its own
                **cors,
                **known,
                **_matcher({**routes, **waiting}, guarded=guard is not None, grpc=grpc),
            },
            *([elsewhere] if elsewhere else ()),
        ],
    }


def _elsewhere(hosts: Sequence[str], *, guarded: bool) -> Json:
    """The virtual host of all other hosts. A page of another site reaches this one under the name of its own site."""
    detail = f"this gateway answers for {', '.join(dict.fromkeys(hosts))}; to add a host, list it in gateway.hosts"
    route = _problem("other-host", {"prefix": "/"}, 421, detail)
    return {"name": "elsewhere", "domains": ["*"], "routes": [_open(route) if guarded else route]}


def revisions_in(configuration: Mapping[str, object]) -> dict[str, int]:
    """The revisions in a route configuration's metadata; empty for a configuration that Fairlead did not make."""
    metadata = configuration.get("metadata")
    for step in ("filter_metadata", "fairlead", "revisions"):
        metadata = metadata.get(step) if isinstance(metadata, Mapping) else None
    return {str(route): int(seq) for route, seq in metadata.items()} if isinstance(metadata, Mapping) else {}


def _matcher(routes: Mapping[str, Sequence[Json]], *, guarded: bool, grpc: bool) -> Json:
    """The virtual host's route matching: by path prefix, else among the platform's own routes."""
    nowhere = _problem("no-such-path", {"prefix": "/"}, 404, "no such model or path")
    explain = _explain()
    alive = (_open(route) if guarded else route for route in _alive())
    calls = grpc_routes(guarded=guarded) if grpc else [_no_grpc()]
    own = [*alive, *_platform(), *calls, explain, nowhere]
    if not routes:
        return {"routes": own}
    # Envoy does not try another list after one without a match, so each list ends with a catch-all.
    complete = {base: [explain, *listed, nowhere] for base, listed in routes.items()}
    if guarded:
        complete = {base: _of_model(base, listed) for base, listed in complete.items()}
    by_prefix = {base: _listed(base, listed) for base, listed in complete.items()}
    return {"matcher": longest_prefix(by_prefix, ":path", otherwise=_listed("platform", own))}


def _listed(name: str, routes: Sequence[Json]) -> Json:
    return extension(name, typed("config.route.v3.RouteList", routes=routes))


def _of_model(base: str, routes: Sequence[Json]) -> list[Json]:
    """The routes below a model's prefix, with the model that their clients must be allowed to call."""
    model = of_model(base.rpartition("/")[2])
    own = (route.get("metadata", {}).get("filter_metadata", {}) for route in routes)
    return [
        {**route, "metadata": {"filter_metadata": {**model, **more}}} for route, more in zip(routes, own, strict=True)
    ]


def _open(route: Json) -> Json:
    return {**route, "typed_per_filter_config": open_to_all()}


def _alive() -> Iterator[Json]:
    # Readiness is not here: a direct response would stay 200 while the gateway drains (listener.py).
    for name, path, body in (("live", "/v2/health/live", '{"live":true}'), ("alive", "/", '{"status":"alive"}')):
        yield {
            "name": name,
            "match": {"path": path},
            "direct_response": {"status": 200, "body": {"inline_string": body}},
            "response_headers_to_add": [put("content-type", "application/json")],
        }


def _platform() -> Iterator[Json]:
    for name, path in (("models", "/models"), ("server-metadata", "/v2"), ("repository", "/v2/repository/index")):
        yield {"name": name, "match": {"path": path}, "route": _control()}


def _no_grpc() -> Json:
    # 404 reaches a client of gRPC as UNIMPLEMENTED, with this text.
    return _problem("grpc", {"prefix": "/inference.GRPCInferenceService/"}, 404, GRPC_REFUSED)


def _explain() -> Json:
    asked = {"name": EXPLAIN_HEADER, "string_match": {"exact": "1"}}
    about_a_model = {"safe_regex": {"regex": "(/v[12])?/models/.+"}, "headers": [asked]}
    return {"name": "explain", "match": about_a_model, "route": _control()}


def _control() -> Json:
    return {"cluster": CONTROL, "timeout": seconds(CONTROL_TIMEOUT_S)}


def table_routes(routed: Routed) -> Mapping[str, Sequence[Json]]:
    """The rules of one table, in order, by path prefix.

    Equal parts of the rules are one shared object: a table has some fifty rules, which stay in memory with it.
    """
    revision = [put(REVISION_HEADER, routed.revision)]
    target = cache(lambda ref, sticky: split(routed, sticky) if ref is None else pin(routed.table, ref))
    found: dict[str, list[Json]] = {base: [] for base in bases(routed.table.model)}
    for rule in rules(routed.table):
        base = next(base for base in found if rule.path.text.startswith(base))
        found[base].append({**_route(routed, rule, target, revision), "response_headers_to_add": revision})
    return found


def _route(
    routed: Routed, rule: Rule, target: Callable[[VersionRef | None, str | None], Json], revision: list[Json]
) -> Json:
    name = f"{routed.route}:{rule.name}"
    if rule.action is RuleAction.MISSING:
        return _problem(name, _match(rule), 404, rule.detail)
    rewrite = {"prefix_rewrite": rule.rewrite} if rule.rewrite else {}
    added = revision if rule.predicts else []  # the service records it
    if rule.prefix:
        added = [*added, put("x-forwarded-prefix", rule.prefix)]
    if rule.action is RuleAction.SPLIT:
        added = [*added, *answer_record_headers(routed.table)]
    headers = {"request_headers_to_add": added} if added else {}
    route: Json = {
        "name": name,
        "match": _match(rule),
        "route": {**target(rule.ref, rule.sticky_header), **rewrite},
        **headers,
    }
    return (
        _held(route, routed.table.request_timeout_s)
        if (rule.ref or routed.table.stable) in routed.table.cold
        else route
    )


def _held(route: Json, timeout_s: float) -> Json:
    """The request waits first, and nothing is sent meanwhile. The route's own time limit begins after that."""
    idle = {"idle_timeout": seconds(LONGEST_WAIT_S + timeout_s + 1)}
    return {**route, "route": {**route["route"], **idle}, **held()}


def _match(rule: Rule) -> Json:
    headers = []
    if rule.version_header is not None:
        value = {"string_match": {"exact": rule.version_header}} if rule.version_header else {"present_match": True}
        headers.append({"name": VERSION_HEADER, **value})
    if rule.sticky_header is not None:
        # Of several lines one must match. An inverted match for blank ones would ask all of them.
        headers.append({"name": rule.sticky_header, "string_match": {"safe_regex": {"regex": f".*[^{BLANK}].*"}}})
    if rule.method:
        headers.append({"name": ":method", "string_match": {"exact": rule.method}})
    return {**_path(rule.path), **({"headers": headers} if headers else {})}


def _path(path: Path) -> Json:
    if path.match is PathMatch.BELOW:
        return {"path_separated_prefix": path.text}
    if path.match is PathMatch.OPTIONAL_SLASH:
        # A rewrite replaces all that the regular expression matched, so both forms reach the service as the same path.
        return {"safe_regex": {"regex": f"{re.escape(path.text)}/?"}}
    return {"path": path.text}


def _pending(model: str) -> Json:
    match = {"safe_regex": {"regex": f"(/v[12])?/models/{re.escape(model)}([/:].*)?"}}
    route = _problem(f"{model}:pending", match, 503, f"model {model} has no version ready yet")
    return {**route, "response_headers_to_add": [put("retry-after", str(RETRY_PENDING_S))]}


def _problem(name: str, match: Json, status: int, detail: str) -> Json:
    """A direct response. The listener's local reply mappers turn it into a problem document."""
    return {"name": name, "match": match, "direct_response": {"status": status, "body": {"inline_string": detail}}}


def _cors(origins: Sequence[str], routed: Sequence[Routed], *, guarded: bool) -> Json:
    sticky = {one.table.sticky for one in routed if one.table.sticky}
    sent = {"content-type", "x-request-id", "x-deadline-ms", VERSION_HEADER, EXPLAIN_HEADER} | sticky
    sent |= set(CREDENTIAL_HEADERS) if guarded else set()
    return typed(
        "extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[
            {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin} for origin in origins
        ],
        allow_methods="GET, POST, PUT, DELETE, OPTIONS",
        allow_headers=", ".join(sorted(sent)),
        expose_headers=f"retry-after, x-model-name, x-model-version, x-request-id, {REVISION_HEADER}",
        max_age="600",
    )
