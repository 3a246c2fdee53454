"""Settings for reading metrics from Prometheus: its address, and how it labels our gateways. One per platform."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairlead.contracts import promql
from fairlead.contracts.base import Document, Duration

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class PrometheusSettings(Document):
    """A Prometheus, or another server with its HTTP API that keeps raw samples (Thanos and Mimir do)."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=512)]
    """The base URL, without `/api/v1`: http://prometheus.monitoring:9090."""
    selector: Annotated[str, Field(max_length=1024)] = ""
    """Label matchers that select the series of this platform's gateways: job="fairlead-gateway"."""
    gateway_label: LabelName = "instance"
    """The label that distinguishes the gateways."""
    scrape_interval: Duration = 15.0
    """How often gateways are scraped. A sample older than 2.5 times this interval is stale and not used."""
    timeout: Duration = 2.0
    """The timeout of a query. The control plane waits for the response, so keep it short."""
    bearer_token_file: str = ""
    """A file with a bearer token; read before each request, so the token may be rotated."""
    ca_file: str = ""
    """The CA certificates to trust for https; the system's if empty."""

    @field_validator("selector")
    @classmethod
    def _is_matchers(cls, selector: str) -> str:
        if selector:
            name, _ = promql.parts(f"{{{selector.strip().removeprefix('{').removesuffix('}')}}}")
            if name or promql.variables(selector):
                raise ValueError('only matchers, no name or variable: job="fairlead-gateway", cluster=~"eu-.*"')
        return selector.strip().removeprefix("{").removesuffix("}")

    @field_validator("scrape_interval", "timeout")
    @classmethod
    def _is_a_while(cls, seconds: float) -> float:
        if not 0.1 <= seconds <= 300:
            raise ValueError("must be between 100ms and 5m")
        return seconds


class MetricSettings(Document):
    """Where the engine reads request counts. The default is the gateways themselves, which needs nothing else."""

    source: Literal["gateways", "prometheus"] = "gateways"
    """`gateways`: their own counters. `prometheus`: the same counters as scraped, so missed windows are replayed."""
    prometheus: PrometheusSettings | None = None
    """Required for `source: prometheus` and for custom gates."""

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.source == "prometheus" and self.prometheus is None:
            raise ValueError("source is prometheus, so prometheus.url must be set")
        return self
