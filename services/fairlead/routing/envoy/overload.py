"""The overload manager: what a gateway gives up, and in which order, as its memory fills.

Every share is one of the heap, which is four fifths of the memory limit. The rest is Envoy's program, and what the
allocator keeps. A request costs memory from its first byte on: the gateway buffers its body for the retry.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.routing.envoy.proto import Json, extension, seconds, typed

MEMORY_BYTES = 512 << 20
"""The chart's memory limit of a gateway's pod."""
REFRESH_S = 0.005
"""How often the heap is measured. Clients on the same machine fill some 3 MiB in this time. What arrives between two
measurements is not shed, and stays until its time is over: short requests are then refused for as long."""
MEMORY_PER_CONNECTION_BYTES = 128 << 10
"""An open connection without a request costs 16 KiB, one of HTTP/2 35 KiB: all of them a quarter of the memory."""
RESET_STREAMS_AT = (0.45, 0.6)
"""Streams of HTTP/2 are reset, the largest first: from 2 MiB at the first share, down to 16 KiB at the second one."""
SMALLEST_RESET_BITS = 14
END_HTTP1_AT = (0.6, 1.0)
"""Envoy cannot reset streams of HTTP/1. Instead it draws, each time a client of HTTP/1 has sent something, whether it
ends the connection with 503: never at the first share, always at the second one. A long body is drawn for each 32 KiB,
and so does not arrive where most short requests still do."""
CLOSE_IDLE_AT = (0.6, 0.8)
IDLE_S = 5.0
"""How long a connection without a request stays open at the second share of `CLOSE_IDLE_AT`."""
REFUSE_REQUESTS_AT = 0.9
REFUSE_CONNECTIONS_AT = 0.95
SHRINK_AT = 0.5
_HEAP = "envoy.resource_monitors.fixed_heap"
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"
_MONITORS = "extensions.resource_monitors."


def overload_manager(memory_bytes: int) -> Json:
    """For a gateway that may use this much memory."""
    heap = typed(f"{_MONITORS}fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=heap_bytes(memory_bytes))
    connections = typed(
        f"{_MONITORS}downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=max_connections(memory_bytes),
    )
    end_http1 = {"name": "envoy.load_shed_points.http1_server_abort_dispatch", "triggers": [_scaled(*END_HTTP1_AT)]}
    return {
        "refresh_interval": seconds(REFRESH_S),
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": SMALLEST_RESET_BITS},
        "resource_monitors": [extension(_HEAP, heap), extension(_CONNECTIONS, connections)],
        "actions": list(_actions()),
        "loadshed_points": [end_http1],
    }


def heap_bytes(memory_bytes: int) -> int:
    """The heap of which the shares are."""
    return memory_bytes // 5 * 4


def max_connections(memory_bytes: int) -> int:
    """Connections of clients that may be open at a time."""
    return memory_bytes // MEMORY_PER_CONNECTION_BYTES


def _actions() -> Iterator[Json]:
    yield _action("reset_high_memory_stream", _scaled(*RESET_STREAMS_AT))
    yield _action("shrink_heap", _above(SHRINK_AT))
    # Not the idle timeout of streams: a request whose model takes its time is idle too.
    idle = {"timer": "HTTP_DOWNSTREAM_CONNECTION_IDLE", "min_timeout": seconds(IDLE_S)}
    timers = typed("config.overload.v3.ScaleTimersOverloadActionConfig", timer_scale_factors=[idle])
    yield _action("reduce_timeouts", _scaled(*CLOSE_IDLE_AT), typed_config=timers)
    yield _action("stop_accepting_requests", _above(REFUSE_REQUESTS_AT))
    yield _action("stop_accepting_connections", _above(REFUSE_CONNECTIONS_AT))


def _action(name: str, trigger: Json, **config: Json) -> Json:
    return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger], **config}


def _above(share: float) -> Json:
    return {"name": _HEAP, "threshold": {"value": share}}


def _scaled(first: float, last: float) -> Json:
    return {"name": _HEAP, "scaled": {"scaling_threshold": first, "saturation_threshold": last}}
