"""Settings of a model service: everything that may differ between two deployments of the same model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fairlead.contracts import parsing
from fairlead.logs import LogFormat, LogLevel

ENV_PREFIX = "FAIRLEAD_SERVING_"
SERVED_AS = "FAIRLEAD_SERVED_AS"
"""The variable in which the chart sets `service`. It lacks the prefix because an older image rejects unknown variables
that have it."""
CALL_TIMEOUT = "FAIRLEAD_CALL_TIMEOUT_S"
"""The variable in which the chart sets `call_timeout_s` where the route's `timeouts.request` is above its default."""

FAILURE_FILE = "FAIRLEAD_FAILURE_FILE"
"""The variable in which the chart sets `failure_file`, without the prefix for the same reason."""
_VARIABLES = {"port": "PORT", "service": SERVED_AS, "call_timeout_s": CALL_TIMEOUT, "failure_file": FAILURE_FILE}
"""The settings that have a variable without the prefix."""
MAX_WORKERS = 64


class Settings(BaseModel):
    """Each field has an environment variable (`FAIRLEAD_SERVING_` + the field in capitals); some also have a flag."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """Address to listen on. Loopback, because a model service has no authentication; the chart sets 0.0.0.0."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port. 0 takes a free one; the `listening` log line names it."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """TCP port of the Open Inference Protocol over gRPC, beside HTTP and on the same address; it needs one process. 0
    takes a free one; the `listening for gRPC` log line names it. None: no gRPC."""
    tls_cert: Path | None = None
    """PEM file with the certificate of this service; with it, it also listens with TLS. The file, its key and the
    authorities are read again when they change, for the connections that begin after that."""
    tls_key: Path | None = None
    """PEM file with the private key of `tls_cert`, not encrypted."""
    tls_client_ca: Path | None = None
    """PEM file with the authorities of clients: a client without a certificate of one of them gets no connection with
    TLS. None: everybody may connect."""
    tls_port: int = Field(default=8443, ge=0, le=65535)
    """TCP port for TLS, on the same address. 0 takes a free one; the `listening with TLS` log line names it."""
    tls_also_plain: bool = False
    """Whether the port without TLS answers everything still, while callers change to the other. false: with `tls_cert`
    it answers only probes and metrics, and everything else gets 403."""
    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1)
    """Largest request body, in bytes. A larger one gets 413 and is not read. Decoding 4 MiB of JSON takes 50 to 200 ms
    of processor time, which other requests do not get."""
    max_request_rows: int = Field(default=4096, ge=1)
    """Maximum rows in one request; more get 422. A request above the batch size is split and its answers joined."""
    max_request_values: int = Field(default=300_000, ge=1000)
    """Maximum values in one request body: numbers, texts, and objects and lists, which count as four. More get 422
    before they are validated, because validation takes time and memory for each."""
    max_row_keys: int = Field(default=8192, ge=100)
    """Maximum keys in one row, with those of the objects in it; more get 422 before they are validated. A row may
    always have as many keys as its type has fields."""
    max_answer_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Largest response with answers, in bytes. A request whose answers become larger gets 422."""
    queue_rows: int = Field(default=8192, ge=1)
    """Maximum rows in the queue. Further requests get 429 with Retry-After."""
    queue_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    """Maximum memory that the rows in the queue may need, in bytes, as estimated from the row type and the bytes of
    their JSON. The rows of large bodies have as much again, until they are answered. Also the most bytes of bodies that
    arrive, and of large ones that wait to be decoded. With `queue_rows` it bounds the memory used under overload."""
    threads: int = Field(default=1, ge=1, le=64)
    """Threads that call the model. One by default, because most libraries use all cores from one call, and not every
    model allows concurrent calls."""
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Literal["auto"] | None = None
    """Processes that serve the model behind one port, each with the whole model, its own queue and its own limits.
    auto: as many as the CPU quota of the cgroup, rounded up. None: one process, which nothing replaces."""
    spill_share: float = Field(default=0.1, gt=0, le=1)
    """Share of the model's time that calls for another version's requests may take longer than those for its own. When
    it is used up, such requests get 503: a body that keeps models busy must not take stable down with the candidate.
    1: they are never refused."""
    call_timeout_s: float = Field(default=60.0, gt=0, le=86400)
    """Seconds that one call of the model may take; keep it above the route's `timeouts.request`. After that its
    requests get 504, and /readyz and /livez return 503 until the call returns: a supervisor restarts the process. With
    `isolation: process` only the process that runs the model is replaced."""
    load_timeout_s: float = Field(default=600.0, gt=0, le=86400)
    """Seconds that loading and warming up may take before /readyz and the log say that they take too long. They are not
    ended: how long a model loads is for its supervisor to judge."""
    drain_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds after SIGTERM during which new requests are still answered while /readyz returns 503: the gateway needs
    this time to send its requests elsewhere. 0 stops listening at once. A second signal, or Ctrl-C, ends the wait."""
    finish_s: int = Field(default=20, ge=1, le=3600)
    """Seconds after the drain that requests in flight have to finish. Keep drain_s + finish_s below the pod's
    terminationGracePeriodSeconds."""
    keep_alive_s: int = Field(default=75, ge=1)
    """Seconds that an idle connection stays open. Keep it above the gateway's upstream idle timeout (30 s), so that the
    gateway closes first: otherwise it may send a request on a connection that the service is closing."""
    receive_s: int = Field(default=60, ge=1)
    """Seconds that a client may take to send one request, head and body, or its first byte. Then it gets 408, if
    anything, and the connection is closed."""
    max_connections: int = Field(default=4096, ge=1)
    """Maximum open connections. A further one gets 503 and is closed."""
    answers_bytes: int = Field(default=1024 * 1024, ge=0, le=1024 * 1024 * 1024)
    """Memory for answer records while versions are compared, in bytes; a record has 32 bytes and no inputs. It is
    allocated at startup and never grows. The control plane reads the records every second; records overwritten before
    it reads them are not used as evidence. 0 keeps no records: a shadow then never has a pair."""
    cache_bytes: int = Field(default=0, ge=0, le=64 * 1024**3)
    """Memory for the response cache, in bytes: answers are kept by their inputs, if the manifest says that the model is
    deterministic. 0: there is no cache."""
    cache_ttl_s: float = Field(default=300.0, gt=0, le=30 * 86400)
    """Seconds for which the response cache keeps an answer."""
    feedback_bytes: int = Field(default=0, ge=0, le=1024 * 1024 * 1024)
    """Memory for the keys of labels that clients send to /feedback, in bytes, 8 each: a label that comes again while
    its key is there is not counted twice. It is used only as labels arrive. 0: the service takes no labels."""
    feedback_within_s: int = Field(default=30 * 86400, ge=1)
    """Seconds between an answer and its label. A later label is not counted: quality says how the model is now."""
    record_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the requests that are recorded with their answers, decided by the request's id; 0.01 is 1 %. 0: none."""
    record_dir: Path | None = None
    """Folder of the recording; `fairlead up` and the chart set it. Only the service's own user can read what is in
    it."""
    record_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024, le=64 * 1024**3)
    """Bytes of the files of the recording, of all workers together. The oldest requests are deleted for new ones."""
    record_age_s: float = Field(default=7 * 86400.0, ge=1, le=365 * 86400)
    """Seconds for which a recorded request is kept at most."""
    record_redact: tuple[str, ...] = ()
    """Fields of rows and answers that are not recorded, with commas between them."""
    record_hash: tuple[str, ...] = ()
    """Texts of rows and answers of which a hash is recorded, with commas between them. Equal texts have equal hashes
    while a process runs, and nobody can find out which text has a hash."""
    log_level: LogLevel = "info"
    """Log lines below this level are not written. `debug` also writes one line for each request."""
    log_format: LogFormat = "auto"
    """`json` or `text`. auto: text for people where stderr is a terminal, else JSON lines."""
    folder_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Digest of the model folder, shown in `fairlead_model_info`. `fairlead up` sets it, which has compared it with the
    folder before the start. In a cluster it is empty where the image's digest says more."""
    check_folder: bool = False
    """Whether the model folder is compared with `folder_sha256` before anything in it is read. The chart sets it where
    others may write to the folder's volume. Reads every file of the folder once more."""
    service: str | None = Field(default=None, pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    """Name and namespace of the Service in front (`iris-1f0c2e4d5a.models`), set by the chart. /readyz then returns 421
    to a gateway that asks for another Service. None: /readyz does not check the name."""
    failure_file: Path | None = None
    """Where the process writes one sentence when its model cannot be served, before it ends with an error: whatever
    started it starts it again. The chart sets the pod's termination message. None: the process stays up, and /readyz
    says why."""
    compute_threads: int | None = Field(default=None, ge=1)
    """Threads inside one call of the model (OpenMP, MKL, OpenBLAS). None: the CPU quota of the cgroup, rounded up,
    divided by `threads` and `workers`. A variable such as OMP_NUM_THREADS that is already set takes precedence."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")
    """Where a model of PyTorch, Keras or ONNX runs: cpu, cuda, or cuda:1 for the second GPU. auto: on a GPU where its
    library finds one, else on the CPU; the log says so. cuda: without that GPU the model is not loaded."""

    @field_validator("record_redact", "record_hash", mode="before")
    @classmethod
    def _is_a_list_of_names(cls, given: Any) -> Any:
        return tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given

    @field_validator("workers", mode="before")
    @classmethod
    def _is_a_number_or_auto(cls, given: Any) -> Any:
        """One error, where the types would give one for each of them."""
        if given in (None, "auto") or (str(given).isdecimal() and 1 <= int(given) <= MAX_WORKERS):
            return given
        raise ValueError(f"must be a number from 1 to {MAX_WORKERS}, or auto, not {str(given)!r}")

    @model_validator(mode="after")
    def _one_process_listens_for_grpc(self) -> Self:
        if self.grpc_port is not None and self.workers is not None:
            raise ValueError("grpc_port needs one process: leave workers out, or run more instances")
        return self

    @model_validator(mode="after")
    def _tls_has_all_its_files(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: set both, or none")
        if self.tls_cert is None and (self.tls_client_ca is not None or self.tls_also_plain):
            raise ValueError("tls_client_ca and tls_also_plain need tls_cert and tls_key: set them too")
        if self.tls_cert is not None and self.grpc_port is not None:
            raise ValueError("grpc_port has no TLS: leave it out, or tls_cert")
        return self

    @model_validator(mode="after")
    def _a_checked_folder_has_a_digest(self) -> Self:
        if self.check_folder and not self.folder_sha256:
            raise ValueError("check_folder needs folder_sha256, the digest that the folder must have: set it too")
        return self

    @model_validator(mode="after")
    def _a_recording_has_a_folder(self) -> Self:
        if self.record_share and self.record_dir is None:
            raise ValueError("record_share needs record_dir, the folder of the recording: set it too")
        return self

    @model_validator(mode="after")
    def _one_request_fits_the_queue(self) -> Self:
        if self.queue_rows < self.max_request_rows:
            raise ValueError("queue_rows must not be less than max_request_rows: the largest request would never fit")
        if self.queue_bytes < self.max_body_bytes:
            raise ValueError("queue_bytes must not be less than max_body_bytes: the largest request would never fit")
        return self


def read(environ: Mapping[str, str], **flags: Any) -> Settings:
    """Read the settings from, in this order: flags (None: not given), `FAIRLEAD_SERVING_*`, $PORT,
    $FAIRLEAD_SERVED_AS, $FAIRLEAD_CALL_TIMEOUT_S and $FAIRLEAD_FAILURE_FILE, defaults.

    Raises Invalid, which names the setting whose value cannot be used.
    """
    values: dict[str, Any] = {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(ENV_PREFIX) and value
    }
    for name, variable in _VARIABLES.items():
        if environ.get(variable):
            values.setdefault(name, environ[variable])
    values.update((name, value) for name, value in flags.items() if value is not None)
    hint = f"Settings are flags or variables named {ENV_PREFIX}<FIELD>, such as {ENV_PREFIX}DRAIN_S."
    return parsing.parse(Settings, values, "settings", hint=hint)
