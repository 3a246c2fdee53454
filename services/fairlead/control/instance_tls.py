"""TLS from the control plane to the instances of models, in a cluster."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

from fairlead.contracts import labels
from fairlead.rollout.ports import InstanceAddress
from fairlead.tls import FileContext, Files


class InstanceTls:
    """Makes connections that show the control plane's certificate, and believe only the name of the version's Service.

    `folder` has tls.crt, tls.key and ca.crt. Raises Invalid if they cannot be used.
    """

    def __init__(self, folder: Path, cluster_domain: str, *, port: int = labels.TLS_PORT) -> None:
        self._context = FileContext(Files(*(folder / name for name in ("tls.crt", "tls.key", "ca.crt"))), server=False)
        self._domain, self._port = cluster_domain.strip("."), port

    def __call__(self, instance: InstanceAddress, timeout_s: float) -> http.client.HTTPConnection:
        """A connection to this instance, for `answers.AnswerRings`."""
        name = labels.service_host(instance.model, instance.ref, instance.namespace, self._domain).removesuffix(".")
        return _Connection(instance.host, self._port, name, self._context, timeout_s)


class _Connection(http.client.HTTPConnection):
    """Connects to an address, and verifies a name: an address of a pod is in no certificate."""

    def __init__(self, host: str, port: int, name: str, context: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._name, self._context = name, context

    def connect(self) -> None:
        """Open it. Raises ssl.SSLError, an OSError, if one side does not believe the other."""
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self._name)
