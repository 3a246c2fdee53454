"""HTTP client of the API server: six verbs and a watch on plain data, with its errors translated to ours.

It uses the official Kubernetes client for connections, TLS, credentials and their renewal, proxies and watches, but
none of its 700 models: the stored objects are our own contracts, and we often request only an object's metadata.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import orjson
import urllib3.exceptions
from kubernetes import watch
from kubernetes.client import ApiClient, ApiException
from kubernetes.client.rest import RESTResponse
from kubernetes.config import ConfigException
from urllib3 import BaseHTTPResponse

from fairlead import errors
from fairlead.store.kubernetes.access import Access
from fairlead.store.kubernetes.kinds import Kind, Object

TIMEOUT_S = 10.0
"""Timeout for connecting, and for each read of a response."""
CONNECTIONS = 16
"""The size of the connection pool: one per watched kind, and a few for requests."""
PAGE = 500
_CHUNK = 1 << 16
_METADATA = ";as={kind};g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
_CREDENTIAL = ["BearerToken"]
"""The client's name for the token, or the password, in its configuration."""


class AlreadyExists(errors.Conflict):
    """An object of that name exists already."""


class Gone(errors.Unavailable):
    """The API server no longer has the resource version that a list or watch continues from. List again."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What the body of a response from somebody else, such as a pod, may have: bytes, and seconds until it is here."""

    size: int
    seconds: float

    def read(self, response: BaseHTTPResponse) -> bytes:
        """The body. Raises Unavailable, and closes the connection, if it is larger or takes longer."""
        parts, size, ends_at = list[bytes](), 0, time.monotonic() + self.seconds
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self.size or time.monotonic() > ends_at:
                response.close()
                is_large = f"it has more than {self.size:,} bytes"
                raise errors.Unavailable(is_large if size > self.size else f"it takes longer than {self.seconds:g} s")
        response.release_conn()
        return b"".join(parts)


class Api:
    """One API server, as one user. It is thread-safe: a connection serves one request at a time."""

    def __init__(self, access: Access, *, timeout_s: float = TIMEOUT_S, connections: int = CONNECTIONS) -> None:
        self.access = access
        self._timeout_s = timeout_s
        # Retries are decided here and by our callers; the connection pool must not add three more.
        access.configuration.retries = False
        access.configuration.connection_pool_maxsize = connections
        self._client = ApiClient(access.configuration)
        self._client.user_agent = "fairlead"

    def close(self) -> None:
        """Close idle connections. The object may be used again afterwards."""
        self._client.close()

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One whole object. Raises NotFound."""
        return self.request("GET", _path(kind, namespace, name))

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        """All objects, and the resource version to watch from. Reads page by page to save memory."""
        found: list[Object] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": chosen} if (chosen := selector or kind.selector) else {})
        while True:
            page = self.request(
                "GET", _path(kind, namespace), query=query, accept=_accept(kind, "PartialObjectMetadataList")
            )
            found += [kind.trim(one) for one in page.get("items") or ()]
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found, str(page.get("metadata", {}).get("resourceVersion", ""))
            query["continue"] = more

    def list_whole(
        self, kind: Kind, namespace: str, selector: str = "", *, fields: str = "", page: int = 50
    ) -> Iterator[Object]:
        """Whole objects, also of a kind for which `list` returns a part. An empty namespace: of the whole cluster."""
        query = {"limit": str(page), "labelSelector": selector, "fieldSelector": fields}
        while True:
            found = self.request("GET", _path(kind, namespace), query=query)
            yield from found.get("items") or ()
            more = found.get("metadata", {}).get("continue")
            if not more:
                return
            query["continue"] = more

    def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object. Raises AlreadyExists, or Invalid or Refused with the API server's reason."""
        query = {"dryRun": "All"} if dry_run else {}
        return self.request("POST", _path(kind, namespace), body=_typed(kind, body), query=query)

    def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Replace an object. Raises Conflict if the body's resource version is not the current one."""
        return self.request("PUT", _path(kind, namespace, name), body=_typed(kind, body))

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        """Apply a merge patch to an object or a subresource. Raises Conflict if it names an old resource version."""
        path = _path(kind, namespace, name) + (f"/{part}" if part else "")
        return self.request("PATCH", path, body=body, content=MERGE)

    def delete(
        self, kind: Kind, namespace: str, name: str, *, propagation: str = "Background", seen: Object | None = None
    ) -> None:
        """Delete an object. Raises NotFound, and with `seen` Conflict if it is another one now or was changed."""
        body: Object = {"propagationPolicy": propagation}
        if seen is not None:
            body["preconditions"] = {key: seen["metadata"][key] for key in ("uid", "resourceVersion")}
        self.request("DELETE", _path(kind, namespace, name), body=body)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        """One request and its response. Raises the error that `refusal` returns, and Unavailable without a response."""
        return _document(self._answer(method, path, query=query, body=body, content=content, accept=accept))

    def read(self, path: str, query: Mapping[str, str], *, limit: Limit | None = None) -> bytes:
        """A response that is not JSON, such as a log. Raises the same errors as `request`."""
        return self._answer("GET", path, query=query, accept="*/*", limit=limit)

    def now(self) -> datetime:
        """The time by the API server's clock, in whole seconds. Raises Unavailable."""
        with self._translated():
            answer = self._send("GET", "/version", silence_s=self._timeout_s, accept="application/json")
            answer.read()
        try:
            return parsedate_to_datetime(str(answer.getheader("Date")))
        except ValueError as error:
            raise errors.Unavailable(f"the API server at {self.access.address} does not say its time") from error

    def watch(self, kind: Kind, namespace: str, since: str, *, timeout_s: float) -> Watch:
        """The changes after a resource version. The watch ends after `timeout_s`."""
        selected = {"labelSelector": kind.selector} if kind.selector else {}

        def follow(
            *,
            watch: bool,  # noqa: ARG001 - the client's Watch passes these names
            resource_version: str,
            timeout_seconds: int,
            _preload_content: bool,
        ) -> object:
            query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version, **selected}
            answer = self._send(
                "GET",
                _path(kind, namespace),
                query={**query, "timeoutSeconds": str(timeout_seconds)},
                accept=_accept(kind, "PartialObjectMetadata"),
                silence_s=timeout_seconds + TIMEOUT_S,
            )
            if answer.status != 200:
                raise refusal(answer.status, _document(answer.read()))
            return answer.response

        return Watch(follow, since, round(timeout_s), self._translated)

    def _answer(self, method: str, path: str, **request: Any) -> bytes:
        with self._translated():
            try:
                status, answer = self._exchange(method, path, **request)
            except urllib3.exceptions.ProtocolError:
                # The server closed the connection while it was idle. Every request of ours may be sent twice: names
                # and resource versions make the second one fail if the first one succeeded.
                status, answer = self._exchange(method, path, **request)
        if status >= 300:
            raise refusal(status, _document(answer))
        return answer

    def _exchange(self, method: str, path: str, *, limit: Limit | None = None, **request: Any) -> tuple[int, bytes]:
        answer = self._send(method, path, silence_s=self._timeout_s, **request)
        return answer.status, answer.read() if limit is None else limit.read(answer.response)

    def _send(
        self,
        method: str,
        path: str,
        *,
        silence_s: float,
        accept: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content: str = "application/json",
    ) -> RESTResponse:
        headers = {"Accept": accept} | ({"Content-Type": content} if body is not None else {})
        method, url, headers, sent, _ = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=_CREDENTIAL,
        )
        # A token that was read from a file may end with a newline, which a header may not contain.
        headers = {name: value.strip() for name, value in headers.items()}
        return self._client.call_api(method, url, headers, sent, _request_timeout=(self._timeout_s, silence_s))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate the client's exceptions to ours."""
        try:
            yield
        except ApiException as error:
            if error.status:
                raise refusal(error.status, {"message": error.reason}) from error
            raise self._unreachable(str(error.reason).splitlines()[-1]) from error  # TLS
        except (urllib3.exceptions.HTTPError, ConfigException, OSError) as error:
            raise self._unreachable(_why(error)) from error

    def _unreachable(self, why: str) -> errors.Unavailable:
        return errors.Unavailable(
            f"the API server at {self.access.address} cannot be reached: {why}",
            hint=f"this is the API server of {self.access.context}" if self.access.context else None,
        )


class Watch:
    """A stream of changes. Another thread may call `close`, which ends an iteration that has begun."""

    def __init__(
        self,
        follow: Callable[..., object],
        since: str,
        timeout_s: int,
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._follow, self._since, self._timeout_s, self._translated = follow, since, timeout_s, translated
        self._stream = watch.Watch()

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        """(type, object) until the server ends the watch. Raises Gone, and Unavailable if the connection breaks."""
        where = {"resource_version": self._since, "timeout_seconds": self._timeout_s}
        with self._translated():
            for event in self._stream.stream(self._follow, **where):
                if event is None:
                    raise errors.Unavailable("the watch ended: the API server sent a line that is not JSON")
                yield event["type"], event["object"]

    def close(self) -> None:
        """End the iteration, also while it waits for the next event."""
        self._stream.stop()


def refusal(status: int, document: Mapping[str, Any]) -> errors.FairleadError:
    """The API server's Status object as one of our errors."""
    message = str(document.get("message") or f"HTTP {status}")
    reason = document.get("reason", "")
    if status == 401:
        return errors.Refused("the API server did not accept the credentials (401)", hint="log in to the cluster again")
    kinds: dict[int, type[errors.FairleadError]] = {
        400: errors.Invalid,
        403: errors.Refused,
        404: errors.NotFound,
        409: AlreadyExists if reason == "AlreadyExists" else errors.Conflict,
        410: Gone,
        422: errors.Invalid,
    }
    return kinds.get(status, errors.Unavailable)(f"API server: {message}")


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"{kind.path}{inside}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")


def _accept(kind: Kind, metadata_kind: str) -> str:
    return "application/json" + (_METADATA.format(kind=metadata_kind) if kind.metadata_only else "")


def _typed(kind: Kind, body: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}


def _document(answer: bytes) -> Object:
    try:
        document = orjson.loads(answer)
    except ValueError:
        return {"message": answer[:200].decode(errors="replace")}
    return document if isinstance(document, dict) else {}


def _why(error: Exception) -> str:
    """The underlying cause; the client's own message names its internal objects."""
    causes = [one for one in (error.__cause__, *error.args[1:]) if isinstance(one, Exception)]
    cause = causes[0] if causes else error
    if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
        return "it did not answer in time"
    return str(cause) or type(cause).__name__
