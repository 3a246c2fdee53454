"""Everything about a model service that may differ between two places where the same folder runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fairlead.contracts import parsing

ENV_PREFIX = "FAIRLEAD_SERVING_"
SERVED_AS = "FAIRLEAD_SERVED_AS"
"""What the chart calls `service`: an older image refuses what has the prefix and is no setting of its own."""


class Settings(BaseModel):
    """One field, one environment variable (`FAIRLEAD_SERVING_` + the field in capitals), one flag where it has one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on. Loopback, because a model service has no authentication; the chart sets 0.0.0.0."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port; 0 takes a free one, which the `listening` log line names."""
    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1)
    """Largest request body, in bytes; a larger one is 413 and is not read. Decoding runs on the event loop, where
    4 MiB of JSON take about 40 ms: a larger limit is a longer stall for everybody."""
    max_request_rows: int = Field(default=4096, ge=1)
    """Most rows in one request; more is 422. A request above the batch size is split and put together again."""
    queue_rows: int = Field(default=8192, ge=1)
    """Rows that may wait for the model; beyond it requests are 429 with Retry-After."""
    queue_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    """Request bytes that may wait for the model; the bound on memory under overload, beside `queue_rows`."""
    threads: int = Field(default=1, ge=1, le=64)
    """Threads that call the model. One, because most libraries use all cores from one call and not all models
    may be called twice at once."""
    drain_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds after SIGTERM in which new requests are still answered while /readyz says 503: the time a gateway
    needs to look elsewhere. 0 stops listening at once. A second signal, or Ctrl-C, ends the wait."""
    finish_s: int = Field(default=20, ge=1, le=3600)
    """Seconds that requests in flight get to finish after the drain. Keep drain_s + finish_s below the pod's
    terminationGracePeriodSeconds."""
    keep_alive_s: int = Field(default=75, ge=1)
    """Seconds an idle connection stays open. More than the gateway's upstream idle timeout (30 s), so that the
    gateway closes first: otherwise it may write into a connection that is just being closed."""
    answers_bytes: int = Field(default=1024 * 1024, ge=0, le=1024 * 1024 * 1024)
    """Memory for records of answers while versions are compared, in bytes; 32 a record, without inputs. It is allocated
    at the start and never grows; the control plane reads it every second, and what it was too late for is no evidence.
    0 keeps none: a shadow then never has a pair."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lines below this level are not written."""
    service: str | None = Field(default=None, pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    """Name and namespace of the Service in front (`iris-1f0c2e4d5a.models`), set by the chart: /readyz then says 421
    to a gateway that looks for another. None: whoever asks is right."""
    compute_threads: int | None = Field(default=None, ge=1)
    """Threads inside one call of the model (OpenMP, MKL, OpenBLAS). None takes the CPU quota of the cgroup,
    rounded up, divided by `threads`; a variable such as OMP_NUM_THREADS that is already set wins."""

    @model_validator(mode="after")
    def _one_request_fits_the_queue(self) -> Self:
        if self.queue_rows < self.max_request_rows:
            raise ValueError("queue_rows must not be less than max_request_rows: the largest request would never fit")
        if self.queue_bytes < self.max_body_bytes:
            raise ValueError("queue_bytes must not be less than max_body_bytes: the largest request would never fit")
        return self


def read(environ: Mapping[str, str], **flags: Any) -> Settings:
    """Settings from flags (None: not given), `FAIRLEAD_SERVING_*`, $PORT and $FAIRLEAD_SERVED_AS, then defaults.

    Raises Invalid and names the variable or flag that cannot be used.
    """
    values: dict[str, Any] = {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(ENV_PREFIX) and value
    }
    for name, variable in (("port", "PORT"), ("service", SERVED_AS)):
        if environ.get(variable):
            values.setdefault(name, environ[variable])
    values.update((name, value) for name, value in flags.items() if value is not None)
    hint = f"Settings are flags or variables named {ENV_PREFIX}<FIELD>, such as {ENV_PREFIX}DRAIN_S."
    return parsing.parse(Settings, values, "settings", hint=hint)
