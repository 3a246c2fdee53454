"""Traces and the access log of the gateway: where spans go, and of how many requests there is a record."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from fairlead.contracts.base import Document

MILLION = 1_000_000
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)%")
_ENDPOINT = re.compile(r"(http|grpc)://(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?):(\d{1,5})")


class Collector(NamedTuple):
    """Where an OpenTelemetry collector takes spans: OTLP over HTTP, or over gRPC."""

    protocol: Literal["http", "grpc"]
    host: str
    port: int


def per_million(share: str) -> int:
    """Of a million requests, how many "0.5%" are. Raises ValueError for what is no share."""
    found = _SHARE.fullmatch(share)
    if found is None or float(found[1]) > 100:
        raise ValueError(f"{share!r} is not a share of requests: write 1%, 0.25% or 100%")
    return round(float(found[1]) * MILLION / 100)


def collector(endpoint: str) -> Collector:
    """The parts of an endpoint. Raises ValueError for another scheme, a path, and an endpoint without a port."""
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None or not 0 < int(found[4]) < 1 << 16:
        hint = "write http://HOST:4318 for OTLP over HTTP, or grpc://HOST:4317 for gRPC"
        if endpoint.startswith("https://"):
            hint = "the gateway sends spans without TLS, to a collector near it, which may send them on with TLS"
        raise ValueError(f"{endpoint!r} is no endpoint of a collector: {hint}")
    return Collector("grpc" if found[1] == "grpc" else "http", found[2].strip("[]"), int(found[4]))


def _is_share(text: str) -> str:
    per_million(text)
    return text


def _is_endpoint(text: str) -> str:
    collector(text)
    return text


def _is_access_log(text: str) -> str:
    return text if text in ("none", "failures", "all") else _is_share(text)


Share = Annotated[str, AfterValidator(_is_share)]
"""A share of requests in percent, with at most four decimals: `1%`, `0.25%`."""
AccessLog = Annotated[str, AfterValidator(_is_access_log)]
"""`none`, `failures`, `all`, or the share of requests that are logged in addition to all failures: `1%`."""


class TracingSettings(Document):
    """Traces (docs/tracing.md)."""

    endpoint: Annotated[str, AfterValidator(_is_endpoint), Field(max_length=300)]
    """Where a collector takes OTLP: `http://127.0.0.1:4318`, or `grpc://127.0.0.1:4317`."""
    sample: Share = "1%"
    """The share of traces that are recorded, decided by the trace id."""
    follow_callers: bool = False
    """Record also every request whose caller says in `traceparent` that it records; only for callers that you trust."""


def of_services(given: TracingSettings | None) -> dict[str, str]:
    """The environment in which services send spans to the gateway's collector, if that takes OTLP over HTTP."""
    if given is None or collector(given.endpoint).protocol != "http":
        return {}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": given.endpoint}
