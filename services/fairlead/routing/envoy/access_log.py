"""The access log: one JSON object for each request that is logged, without a query, a body or a credential."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.contracts.answers import REVISION_HEADER
from fairlead.routing.envoy.access import DECISION, decided
from fairlead.routing.envoy.grpc import failed_calls
from fairlead.routing.envoy.local_replies import status
from fairlead.routing.envoy.proto import Json, extension, typed
from fairlead.routing.snapshot import AccessLog, Settings

EVERYTHING = 1_000_000
_COMMON = {
    "time": "%START_TIME%",
    "request_id": "%REQ(x-request-id)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "duration_ms": "%DURATION%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "host": "%UPSTREAM_HOST%",
    "version": "%RESP(x-model-version)%",
}
_NO_SUCCESS: Json = {"or_filter": {"filters": [status("LE", 199), status("GE", 300)]}}
"""No status (the client left) or another than 2xx."""


def access_logs(settings: Settings) -> Json:
    """The field of the HTTP connection manager; empty without a log."""
    logs = [*_logs(settings)]
    return {"access_log": logs} if logs else {}


def attempt_logs(settings: Settings) -> Json:
    """The field of the router that logs every attempt which failed; empty where only requests that failed are logged.

    It says why another attempt was made, also when that one was answered.
    """
    log = settings.access_log
    if log is None or not log.successes_per_million:
        return {}
    line = {**_COMMON, "attempt": "%REQ(x-envoy-attempt-count)%"}
    failed = {"or_filter": {"filters": [status("LE", 99), status("GE", 500), status("EQ", 429)]}}
    return {"upstream_log": [{**_file(log, line), "filter": failed}]}


def _logs(settings: Settings) -> Iterator[Json]:
    guarded = settings.guard is not None
    if (log := settings.access_log) is not None:
        line = {
            **_COMMON,
            "method": "%REQ(:method)%",
            "path": "%PATH(NQ:ORIG_OR_PATH)%",  # a query may have a key in it, by mistake
            "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
            "revision": f"%RESP({REVISION_HEADER})%",
            "received_ms": "%REQUEST_DURATION%",
            "first_byte_ms": "%RESPONSE_DURATION%",
            **({"client": decided("client")} if guarded else {}),
            # An error of a call has no other place for its status.
            **({"grpc_status": "%RESP(grpc-status)%"} if settings.grpc else {}),
            **_trace_id(settings),
        }
        yield {**_file(log, line), **_filter(log, grpc=settings.grpc)}
    if guarded:
        yield _requests_of_clients(grpc=settings.grpc)


def _trace_id(settings: Settings) -> dict[str, str]:
    return {"trace_id": "%TRACE_ID%"} if settings.tracing is not None else {}


def _file(log: AccessLog, line: dict[str, str]) -> Json:
    config = typed("extensions.access_loggers.file.v3.FileAccessLog", path=log.path, log_format={"json_format": line})
    return extension("envoy.access_loggers.file", config)


def _filter(log: AccessLog, *, grpc: bool) -> Json:
    if log.successes_per_million >= EVERYTHING:
        return {}
    # "Not ready" is the answer to a question and no failure; whoever starts a platform asks it often.
    asks_ready = {"name": ":path", "string_match": {"suffix": "/ready"}}
    is_other = {"header_filter": {"header": {**asks_ready, "invert_match": True}}}
    # A flag alone is no failure: a request whose second attempt was answered has one too.
    logged = [status("GE", 500), _both(_NO_SUCCESS, {"response_flag_filter": {}})]
    if grpc:
        logged.append(failed_calls())
    if log.successes_per_million:
        logged.append(_share(log))
    return {"filter": _both({"or_filter": {"filters": logged}}, is_other)}


def _share(log: AccessLog) -> Json:
    share = {"numerator": log.successes_per_million, "denominator": "MILLION"}
    return {"runtime_filter": {"runtime_key": "fairlead.access_log", "percent_sampled": share}}


def _both(*filters: Json) -> Json:
    return {"and_filter": {"filters": [*filters]}}


def _requests_of_clients(*, grpc: bool) -> Json:
    """Counts requests by client and status: `access.requests`. Of calls also by the code of an error."""
    tags = {"fairlead.client": decided("client"), "fairlead.status": "%RESPONSE_CODE%"}
    if grpc:  # the status of every call is 200
        tags["fairlead.grpc"] = "%RESP(grpc-status)%"
    counter = {
        "stat": {
            "name": "requests",
            "tags": [{"name": tag, "value_format": text} for tag, text in tags.items()],
        },
        "value_fixed": 1,
    }
    config = typed("extensions.access_loggers.stats.v3.Config", stats_scope={"prefix": "access"}, counters=[counter])
    # Not the requests for open paths, which nobody has to send.
    name = {"filter": DECISION, "path": [{"key": "client"}], "value": {"present_match": True}}
    known = {"metadata_filter": {"matcher": name, "match_if_key_not_found": False}}
    return {**extension("envoy.access_loggers.stats", config), "filter": known}
