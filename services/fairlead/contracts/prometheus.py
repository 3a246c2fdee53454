"""Where Prometheus is and how it knows our gateways; said once per platform."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairlead.contracts import promql
from fairlead.contracts.base import Document, Duration

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


class PrometheusSettings(Document):
    """A Prometheus, or whatever speaks its HTTP API and keeps raw samples (Thanos and Mimir do)."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", max_length=512)]
    """Where it answers, as far as `/api/v1`: http://prometheus.monitoring:9090."""
    selector: Annotated[str, Field(max_length=1024)] = ""
    """Matchers that single out the scrapes of this platform's gateways: job="fairlead-gateway"."""
    gateway_label: LabelName = "instance"
    """The label in which gateways differ."""
    scrape_interval: Duration = 15.0
    """How often gateways are scraped. What is older than two and a half of it is not known any more."""
    timeout: Duration = 2.0
    """How long an answer may take. The control plane waits for it, so it is short."""
    bearer_token_file: str = ""
    """A file with a token; read before each request, so it may be renewed."""
    ca_file: str = ""
    """Whom to trust, for https; the system's authorities otherwise."""

    @field_validator("selector")
    @classmethod
    def _is_matchers(cls, selector: str) -> str:
        if selector:
            name, _ = promql.parts(f"{{{selector.strip().removeprefix('{').removesuffix('}')}}}")
            if name or promql.variables(selector):
                raise ValueError('only matchers: job="fairlead-gateway", cluster=~"eu-.*"')
        return selector.strip().removeprefix("{").removesuffix("}")

    @field_validator("scrape_interval", "timeout")
    @classmethod
    def _is_a_while(cls, seconds: float) -> float:
        if not 0.1 <= seconds <= 300:
            raise ValueError("must be between 100ms and 5m")
        return seconds


class MetricSettings(Document):
    """Where rollouts are counted. The gateways themselves are the default, and need nothing else."""

    source: Literal["gateways", "prometheus"] = "gateways"
    """`gateways`: their own counters. `prometheus`: the same as it has scraped them, so missed windows are replayed."""
    prometheus: PrometheusSettings | None = None
    """Needed for `source: prometheus`, and for custom gates."""

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.source == "prometheus" and self.prometheus is None:
            raise ValueError("source is prometheus, so prometheus.url must say where it is")
        return self
