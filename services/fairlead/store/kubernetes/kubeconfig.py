"""Loading a kubeconfig with the Kubernetes client: choosing the context, and errors for an unusable file."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from fairlead import errors
from fairlead.store.kubernetes.access import Access


def load(context: str | None = None, environment: Mapping[str, str] = os.environ) -> Access:
    """The access for `context`, or for the current context, from KUBECONFIG or ~/.kube/config.

    Raises NotFound if the file or the context does not exist, Invalid if an entry cannot be used, and Unavailable if
    the credential program returns no credential.
    """
    named = environment.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files, contexts = _read(named)
    # If several files set it, the first one counts, as for kubectl. The Python client would take the last one.
    current = (one.get("current-context") for one in files.config_files.values())
    name = context or next(filter(None, current), None)
    there = f"contexts: {', '.join(sorted(contexts)) or 'none'}"
    if not name:
        raise errors.NotFound(f"{named} has no current context", hint=f"use --context; {there}")
    if name not in contexts:
        raise errors.NotFound(f"the kubeconfig has no context {name!r}", hint=there)
    return Access(
        _configured(files, str(name), named),
        namespace=str(contexts[name].get("namespace") or "default"),
        context=f"context {name!r}",
    )


def _read(named: str) -> tuple[KubeConfigMerger, dict[str, dict[str, Any]]]:
    """The merged files, and their contexts by name."""
    try:
        files = KubeConfigMerger(named)
        entries = files.config["contexts"].value if files.config is not None else ()
        contexts = {str(one["name"]): dict(one.value.get("context") or {}) for one in entries}
    except (ConfigException, OSError, yaml.YAMLError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise errors.Invalid(f"{named} is not a valid kubeconfig", hint=str(error)) from error
    if files.config is None:
        raise errors.NotFound(f"there is no kubeconfig at {named}", hint="set KUBECONFIG, or log in to your cluster")
    return files, contexts


def _configured(files: KubeConfigMerger, name: str, named: str) -> Configuration:
    configuration = Configuration()
    try:
        with _CapturedMessages() as captured:
            loader = KubeConfigLoader(files.config, active_context=name, config_base_path=None)
            loader.load_and_set(configuration)
    except (ConfigException, OSError, ValueError) as error:
        raise errors.Invalid(f"{named}: context {name!r} cannot be used: {error}") from error
    if captured.messages:
        program = _login(files, loader.current_context["context"]["user"])
        raise errors.Unavailable(
            f"the credential program {program.get('command')!r} of the kubeconfig returned no credential: "
            f"{captured.messages[-1]}",
            hint=program.get("installHint") or "run it yourself to see why, or log in another way",
        )
    server = urlsplit(getattr(loader, "host", ""))
    if server.scheme not in ("http", "https") or not server.hostname:
        raise errors.Invalid(f"{named}: the cluster of context {name!r} has no usable server address")
    if not configuration.verify_ssl:
        # The kubeconfig turns verification off explicitly; kubectl does not warn at every command either.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return configuration


def _login(files: KubeConfigMerger, user: str) -> Mapping[str, Any]:
    """The credential program of a user's entry."""
    return dict(files.config["users"].get_with_name(user)["user"].value.get("exec") or {})


class _CapturedMessages(logging.Filter):
    """Captures the client's log messages: it logs the failure of a credential program, and continues without one."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Capture the message and do not print it; our error contains it."""
        if record.module != "kube_config":
            return True
        self.messages.append(record.getMessage())
        return False

    def __enter__(self) -> Self:
        logging.getLogger().addFilter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        logging.getLogger().removeFilter(self)
