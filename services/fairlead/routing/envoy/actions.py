"""Route actions: the weighted split with its retries and mirrors, or one version directly."""

from __future__ import annotations

from fairlead.contracts.answers import COUNT, KEEP_HEADER, RECORD, SHADOW_HEADER
from fairlead.contracts.gateway import ROUTED_HEADER, Role
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Mirror, Table
from fairlead.routing.envoy.clusters import name_of
from fairlead.routing.envoy.proto import Json, extension, put, seconds, typed
from fairlead.routing.snapshot import Routed

STREAM_IDLE_TIMEOUT_S = 60.0
"""The listener's idle timeout for a stream; a route with a longer timeout sets its own."""
HOST_ATTEMPTS = 30
"""How often a retry picks again when it picked a failed host: a host that refuses looks idle and is picked often."""


def split(routed: Routed, sticky: str | None) -> Json:
    """The split: stable first, the candidate last, so that users keep the candidate as its weight rises.

    `sticky` is the header that it draws by; None draws every request anew.
    """
    table = routed.table
    clusters = [{"name": name_of(Role.SPLIT, table, table.stable), "weight": TOTAL_WEIGHT - table.weight}]
    if table.candidate is not None:
        clusters.append(_candidate(table, table.candidate))
    policy = [_hash(routed, sticky)] if sticky else []
    return {
        **_limits(table),
        "weighted_clusters": {"clusters": clusters, **({"use_hash_policy": True} if policy else {})},
        **({"hash_policy": policy} if policy else {}),
        **_own_retries(table),
        **({"request_mirror_policies": [_mirror(table, one) for one in table.mirrors]} if table.mirrors else {}),
    }


def answer_record_headers(table: Table) -> list[Json]:
    """The header that sets what services record of their answers to the split's requests, mirrored ones included.

    Empty when no rollout is in progress and nothing is mirrored.
    """
    if table.mirrors:
        return [put(KEEP_HEADER, RECORD)]
    return [put(KEEP_HEADER, COUNT)] if table.candidate is not None else []


def pin(table: Table, ref: VersionRef) -> Json:
    """One version, without fallback and ejection: its failures reach the client."""
    return {**_limits(table), "cluster": name_of(Role.DIRECT, table, ref), **_own_retries(table)}


def sticky_salt(routed: Routed) -> str:
    """Appended to the sticky header before hashing, so that two models, or two attempts, draw different users."""
    return f"|{routed.route}|{routed.table.attempt}"


def _hash(routed: Routed, header: str) -> Json:
    rewrite = {"pattern": {"regex": "^(.*)$"}, "substitution": rf"\1{sticky_salt(routed)}"}
    return {"header": {"header_name": header, "regex_rewrite": rewrite}}


def _limits(table: Table) -> Json:
    timeout = table.request_timeout_s
    idle = {"idle_timeout": seconds(timeout + 1)} if timeout >= STREAM_IDLE_TIMEOUT_S else {}
    return {"timeout": seconds(timeout), **idle}


def _candidate(table: Table, candidate: VersionRef) -> Json:
    """The candidate's weighted entry. Its limit and retries are set here, by header, because a route's own would also
    apply to stable's share."""
    entry = {"name": name_of(Role.AGGREGATE, table, candidate), "weight": table.weight}
    headers: dict[str, str] = {}
    if table.weight < TOTAL_WEIGHT:
        headers[ROUTED_HEADER] = candidate.version
    if table.idempotent:
        headers |= {"x-envoy-retry-on": "5xx,retriable-status-codes", "x-envoy-retriable-status-codes": "429"}
        if table.late_after_s is not None:
            headers["x-envoy-upstream-rq-per-try-timeout-ms"] = str(max(1, round(table.late_after_s * 1000)))
            # Without this, the limit would end the candidate's try, and then stable's after the same time.
            headers["x-envoy-hedge-on-per-try-timeout"] = "true"
    if not headers:
        return entry
    mutations = {"request_mutations": [{"append": put(name, value)} for name, value in headers.items()]}
    return {
        **entry,
        "typed_per_filter_config": {
            "envoy.filters.http.header_mutation": typed(
                "extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute", mutations=mutations
            )
        },
    }


def retries(*, idempotent: bool) -> Json:
    """One retry of a request that no service has answered. After a `reset` a service may already have started on the
    request, so `reset` is only for idempotent models."""
    conditions = ["connect-failure", "refused-stream", *(["reset"] if idempotent else [])]
    next_priority = typed(
        "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", update_frequency=1
    )
    other_host = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "retry_on": ",".join(conditions),
        "num_retries": 1,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.01s"},
        # Sends the candidate's retry to the aggregate's next member, which is stable.
        "retry_priority": extension("envoy.retry_priorities.previous_priorities", next_priority),
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", other_host)],
        "host_selection_retry_max_attempts": HOST_ATTEMPTS,
    }


def _own_retries(table: Table) -> Json:
    """Empty for idempotent models: the virtual host has their policy once. Repeated in each of some fifty rules of a
    table, it made up two thirds of the configuration."""
    return {} if table.idempotent else {"retry_policy": retries(idempotent=False)}


def _mirror(table: Table, mirror: Mirror) -> Json:
    share = {"default_value": {"numerator": mirror.share, "denominator": "TEN_THOUSAND"}}
    return {
        "cluster": name_of(Role.DIRECT, table, mirror.version),
        "runtime_fraction": share,
        "disable_shadow_host_suffix_append": True,
        # A service with this header suppresses side effects.
        "request_headers_mutations": [{"append": put(SHADOW_HEADER, table.model)}],
    }
