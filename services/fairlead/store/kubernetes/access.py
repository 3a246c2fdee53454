"""Credentials and address of an API server: those of this pod's service account, or (`kubeconfig`) those of a user."""

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
    """Everything needed to connect. `namespace` is the default when the caller gives none."""

    configuration: Configuration
    """The client's configuration: address, certificates, tokens and their renewal, proxy."""
    namespace: str = "default"
    context: str = ""
    """The name of this access in messages."""

    @property
    def address(self) -> str:
        """The API server's address, for a message."""
        return str(self.configuration.host).partition("://")[2]


def in_cluster(environment: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API server of the cluster that this pod runs in. Raises Unavailable outside a cluster.

    The client reads the token file again every minute; the kubelet writes a new token long before the old one expires.
    """
    configuration = Configuration()
    files = {"token_filename": str(folder / "token"), "cert_filename": str(folder / "ca.crt")}
    try:
        InClusterConfigLoader(**files, environ=environment).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise errors.Unavailable(
            f"this process does not run in a pod of a cluster: {error}",
            hint="outside a cluster give a kubeconfig: --kube, or KUBECONFIG",
        ) from error
    namespace = folder / "namespace"
    return Access(
        configuration,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        context="the cluster of this pod",
    )
