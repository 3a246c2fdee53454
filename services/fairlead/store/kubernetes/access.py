"""Who speaks to which API server: the one of the pod this runs in, or one that a kubeconfig names."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fairlead import errors

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_REREAD_S = 60.0
"""The kubelet writes a new token into the same file long before the old one expires."""


def no_token() -> str | None:
    """For whoever shows a certificate, or nothing."""
    return None


@dataclass(frozen=True)
class Access:
    """Everything it takes to connect. `namespace` is the one that is meant when none is named."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    """None speaks plain HTTP, as `kubectl proxy` does."""
    token: Callable[[], str | None] = field(default=no_token)
    """The bearer token, asked before every request: tokens expire."""
    namespace: str = "default"
    prefix: str = ""
    """A path in front of every path, where the API server is behind one."""
    server_name: str | None = None
    """The name its certificate must have, where that is not the host's."""
    context: str = ""
    """What to call this in a message."""


class TokenFile:
    """A token that is replaced on disk now and then."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._read_at = float("-inf")
        self._token = ""

    def __call__(self) -> str:
        """The token as it was at most a minute ago. Raises Unavailable when the file cannot be read."""
        now = self._monotonic()
        if now - self._read_at > TOKEN_REREAD_S:
            try:
                self._token = self._path.read_text().strip()
            except OSError as error:
                raise errors.Unavailable(f"cannot read the token in {self._path}: {error.strerror}") from error
            self._read_at = now
        return self._token


def in_cluster(environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API server of the cluster this pod runs in. Raises Unavailable outside of one."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (folder / "token").exists():
        raise errors.Unavailable(
            "this is no pod of a cluster: it has no service account token",
            hint="outside of a cluster name a kubeconfig: --kube, or KUBECONFIG",
        )
    namespace = folder / "namespace"
    return Access(
        host=host,
        port=int(port),
        tls=ssl.create_default_context(cafile=str(folder / "ca.crt")),
        token=TokenFile(folder / "token"),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        context="the cluster of this pod",
    )
