"""Who speaks to which API server: as the account of the pod this runs in, or (`kubeconfig`) as a user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader

from fairlead import errors

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """Everything it takes to connect. `namespace` is the one that is meant when none is named."""

    configuration: Configuration
    """The client's: address, certificates, tokens and how they are renewed, proxy."""
    namespace: str = "default"
    context: str = ""
    """What to call this in a message."""

    @property
    def address(self) -> str:
        """The API server's address, for a message."""
        return str(self.configuration.host).partition("://")[2]


def in_cluster(environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API server of the cluster this pod runs in. Raises Unavailable outside of one.

    The client reads the token again every minute: the kubelet writes a new one long before the old one expires.
    """
    configuration = Configuration()
    files = {"token_filename": str(folder / "token"), "cert_filename": str(folder / "ca.crt")}
    try:
        InClusterConfigLoader(**files, environ=environment).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise errors.Unavailable(
            f"this is no pod of a cluster: {error}",
            hint="outside of a cluster name a kubeconfig: --kube, or KUBECONFIG",
        ) from error
    namespace = folder / "namespace"
    return Access(
        configuration,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        context="the cluster of this pod",
    )
