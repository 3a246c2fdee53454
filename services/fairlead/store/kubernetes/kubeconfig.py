"""A kubeconfig file, as kubectl reads it: contexts, certificates, tokens and the programs that fetch tokens."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from fairlead import errors
from fairlead.store.kubernetes.access import Access, TokenFile, no_token

EXEC_TIMEOUT_S = 60.0
"""A program may ask the user to log in."""
EARLY = timedelta(seconds=30)
"""A token is fetched anew so long before it expires."""


def load(context: str | None = None, environment: Mapping[str, str] = os.environ) -> Access:
    """The access that `context`, or the present one, names in KUBECONFIG or ~/.kube/config.

    Raises NotFound when there is no such file, context, cluster or user, and Invalid when an entry cannot be used.
    """
    named = environment.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    paths = [Path(one) for one in named.split(os.pathsep) if one]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise errors.NotFound(f"there is no kubeconfig at {named}", hint="set KUBECONFIG, or log in to your cluster")
    config = _Config(found)
    name = context or config.current
    if not name:
        raise errors.NotFound(f"{named} names no current context", hint=f"use --context; there are {config.names()}")
    return config.access(name)


class _Config:
    """One or more files; of two entries with one name the first counts, as for kubectl."""

    def __init__(self, paths: list[Path]) -> None:
        self._entries: dict[str, dict[str, tuple[dict[str, Any], Path]]] = {"contexts": {}, "clusters": {}, "users": {}}
        self.current = ""
        for path in paths:
            document = _read(path)
            self.current = self.current or str(document.get("current-context") or "")
            for kind, entries in self._entries.items():
                for entry in document.get(kind) or ():
                    entries.setdefault(str(entry.get("name")), (entry.get(kind[:-1]) or {}, path))

    def names(self) -> str:
        """The contexts, for a message."""
        return ", ".join(sorted(self._entries["contexts"])) or "none"

    def access(self, name: str) -> Access:
        context, _ = self._entry("contexts", name)
        cluster, beside = self._entry("clusters", str(context.get("cluster")))
        user, user_beside = self._entry("users", str(context.get("user"))) if context.get("user") else ({}, beside)
        server = urlsplit(str(cluster.get("server") or ""))
        if server.scheme not in ("http", "https") or not server.hostname:
            raise errors.Invalid(f"{beside}: cluster {context.get('cluster')!r} has no usable server address")
        if cluster.get("proxy-url"):
            raise errors.Invalid(
                f"{beside}: cluster {context.get('cluster')!r} has a proxy-url, which fairlead does not use",
                hint="run `kubectl proxy` and point a context at it",
            )
        credential = _credential(user, user_beside)
        tls = _tls(cluster, beside, user, user_beside, credential) if server.scheme == "https" else None
        return Access(
            host=server.hostname,
            port=server.port or (443 if tls else 80),
            tls=tls,
            token=credential.token if credential else _token(user, user_beside),
            namespace=str(context.get("namespace") or "default"),
            prefix=server.path.rstrip("/"),
            server_name=cluster.get("tls-server-name"),
            context=f"context {name!r}",
        )

    def _entry(self, kind: str, name: str) -> tuple[dict[str, Any], Path]:
        if name not in self._entries[kind]:
            there = ", ".join(sorted(self._entries[kind])) or "none"
            raise errors.NotFound(f"the kubeconfig has no {kind[:-1]} {name!r}", hint=f"{kind}: {there}")
        return self._entries[kind][name]


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise errors.Invalid(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise errors.Invalid(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise errors.Invalid(f"{path} is no kubeconfig")
    return document


def _token(user: Mapping[str, Any], beside: Path) -> Callable[[], str | None]:
    if user.get("tokenFile"):
        return TokenFile(beside.parent / user["tokenFile"])
    token = user.get("token")
    return (lambda: str(token)) if token else no_token


def _tls(
    cluster: Mapping[str, Any], beside: Path, user: Mapping[str, Any], user_beside: Path, credential: _Exec | None
) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", beside)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _bytes(user, "client-certificate", user_beside)
    key = _bytes(user, "client-key", user_beside)
    if credential is not None and not certificate:
        certificate, key = credential.certificate()
    if certificate and key:
        # OpenSSL takes files alone: one that only this user can read, gone again at once.
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            try:
                context.load_cert_chain(file.name)
            except ssl.SSLError as error:
                raise errors.Invalid(f"{user_beside}: the client certificate cannot be used: {error.reason}") from error
    return context


def _bytes(entry: Mapping[str, Any], name: str, beside: Path) -> bytes | None:
    """`<name>-data` decoded, or the content of the file `<name>`, relative to the kubeconfig."""
    try:
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(data, validate=True)
        return (beside.parent / entry[name]).read_bytes() if entry.get(name) else None
    except binascii.Error as error:
        raise errors.Invalid(f"{beside}: {name}-data is not base64") from error
    except OSError as error:
        raise errors.Invalid(f"{beside}: cannot read {name} {entry[name]}: {error.strerror}") from error


def _credential(user: Mapping[str, Any], beside: Path) -> _Exec | None:
    if user.get("auth-provider"):
        raise errors.Invalid(f"{beside}: auth-provider is gone from Kubernetes since 1.26", hint="log in again")
    return _Exec(user["exec"], beside) if user.get("exec") else None


class _Exec:
    """A program that prints a credential, as cloud providers ship one."""

    def __init__(self, spec: Mapping[str, Any], beside: Path) -> None:
        self._spec = spec
        self._beside = beside
        self._status: dict[str, Any] = {}
        self._until: datetime | None = None

    def token(self) -> str | None:
        """The token; the program is asked again shortly before it expires."""
        token = self._fresh().get("token")
        return str(token) if token else None

    def certificate(self) -> tuple[bytes | None, bytes | None]:
        """The certificate and key it gave instead of a token."""
        status = self._fresh()
        parts = (status.get("clientCertificateData"), status.get("clientKeyData"))
        return (parts[0].encode(), parts[1].encode()) if parts[0] and parts[1] else (None, None)

    def _fresh(self) -> dict[str, Any]:
        if not self._status or (self._until is not None and datetime.now(UTC) > self._until - EARLY):
            self._status = self._ask()
            expires = self._status.get("expirationTimestamp")
            self._until = datetime.fromisoformat(expires) if expires else None
        return self._status

    def _ask(self) -> dict[str, Any]:
        command = str(self._spec.get("command"))
        version = self._spec.get("apiVersion") or "client.authentication.k8s.io/v1"
        asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        extra = {one["name"]: one["value"] for one in self._spec.get("env") or ()}
        # A name without a slash is looked up in PATH; one with a slash is relative to the kubeconfig.
        program = str(self._beside.parent / command) if "/" in command else command
        try:
            done = subprocess.run(
                [program, *(self._spec.get("args") or ())],
                env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
                stdout=subprocess.PIPE,
                timeout=EXEC_TIMEOUT_S,
                check=True,
            )
            status = json.loads(done.stdout)["status"]
        except FileNotFoundError as error:
            hint = self._spec.get("installHint") or "install it, or log in another way"
            raise errors.Unavailable(
                f"the kubeconfig asks {command!r} for a credential; it is not there", hint=hint
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise errors.Unavailable(f"{command!r} gave no credential: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise errors.Unavailable(f"{command!r} printed no ExecCredential") from error
        return dict(status)
