"""The API server over HTTP: six verbs and a watch, its answers as plain data, its refusals in our words.

On the standard library alone. The official client costs 27 MiB and half a second before its first request, and we
need neither its 700 models nor its pools: what is stored are our own contracts.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from fairlead import errors
from fairlead.store.kubernetes.access import Access
from fairlead.store.kubernetes.kinds import Kind, Object

TIMEOUT_S = 10.0
PAGE = 500
_METADATA = ";as={kind};g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"


class AlreadyExists(errors.Conflict):
    """An object of that name is there."""


class Gone(errors.Unavailable):
    """The API server no longer knows the version that a list or watch wants to go on from: list anew."""


class Api:
    """One API server, as one user. Any thread may use it: a connection serves one request at a time."""

    def __init__(self, access: Access, *, timeout_s: float = TIMEOUT_S) -> None:
        self.access = access
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of idle connections. It may be used again afterwards."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One whole object. Raises NotFound."""
        return self.request("GET", _path(kind, namespace, name))

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        """All objects, and the resource version to watch from. Page by page: no list is ever held twice in memory."""
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

    def whole(self, kind: Kind, namespace: str, selector: str) -> Iterator[Object]:
        """Whole objects of a kind that is otherwise listed by its metadata, a few at a time."""
        query = {"limit": "50", "labelSelector": selector}
        while True:
            page = self.request("GET", _path(kind, namespace), query=query)
            yield from page.get("items") or ()
            more = page.get("metadata", {}).get("continue")
            if not more:
                return
            query["continue"] = more

    def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Raises AlreadyExists; Invalid or Refused with the API server's reason."""
        query = {"dryRun": "All"} if dry_run else {}
        return self.request("POST", _path(kind, namespace), body=_typed(kind, body), query=query)

    def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Raises Conflict when the body's resource version is not the present one."""
        return self.request("PUT", _path(kind, namespace, name), body=_typed(kind, body))

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        """A merge patch, of the whole or of a subresource. Raises Conflict when it names an old resource version."""
        path = _path(kind, namespace, name) + (f"/{part}" if part else "")
        return self.request("PATCH", path, body=body, content=MERGE)

    def delete(self, kind: Kind, namespace: str, name: str, *, propagation: str = "Background") -> None:
        """Raises NotFound."""
        self.request("DELETE", _path(kind, namespace, name), body={"propagationPolicy": propagation})

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
        """One request and its answer. Raises what `refusal` makes of an error, and Unavailable without an answer."""
        text = None if body is None else json.dumps(body).encode()
        headers = self._headers(accept) | ({"Content-Type": content} if text is not None else {})
        target = self.access.prefix + path + (f"?{urlencode(query)}" if query else "")
        status, answer = self._exchange(method, target, text, headers)
        document = _document(answer)
        if status >= 300:
            raise refusal(status, document)
        return document

    def watch(self, kind: Kind, namespace: str, since: str, *, timeout_s: float) -> Watch:
        """What changes from a resource version on, for so long."""
        query = {
            "watch": "1",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": f"{timeout_s:.0f}",
        }
        if kind.selector:
            query["labelSelector"] = kind.selector
        connection = self._connect(timeout_s + TIMEOUT_S)
        try:
            headers = self._headers(_accept(kind, "PartialObjectMetadata"))
            connection.request(
                "GET", f"{self.access.prefix}{_path(kind, namespace)}?{urlencode(query)}", headers=headers
            )
            response = connection.getresponse()
            if response.status != 200:
                raise refusal(response.status, _document(response.read()))
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        except errors.FairleadError:
            connection.close()
            raise
        return Watch(connection, response)

    def _exchange(self, method: str, target: str, text: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            # It may have been closed while it was idle; only then a second try is worth it. Everything we send may be
            # sent twice: names and resource versions tell the second from the first.
            try:
                return self._once(kept, method, target, text, headers)
            except TimeoutError as error:
                raise self._unreachable(error) from error
            except (OSError, http.client.HTTPException):
                pass
        try:
            return self._once(self._connect(self._timeout_s), method, target, text, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _once(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        text: bytes | None,
        headers: dict[str, str],
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, target, body=text, headers=headers)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return response.status, answer

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        access = self.access
        if access.tls is None:
            return http.client.HTTPConnection(access.host, access.port, timeout=timeout_s)
        if access.server_name is None:
            return http.client.HTTPSConnection(access.host, access.port, timeout=timeout_s, context=access.tls)
        return _Named(access.host, access.port, timeout=timeout_s, context=access.tls, server_name=access.server_name)

    def _headers(self, accept: str) -> dict[str, str]:
        token = self.access.token()
        return {"Accept": accept, "User-Agent": "fairlead"} | ({"Authorization": f"Bearer {token}"} if token else {})

    def _unreachable(self, error: Exception) -> errors.Unavailable:
        access = self.access
        why = "it did not answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return errors.Unavailable(
            f"the API server at {access.host}:{access.port} cannot be reached: {why}",
            hint=f"it is the one of {access.context}" if access.context else None,
        )


class Watch:
    """A stream of changes. `close` may be called by another thread, and ends the iteration."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        """(type, object) until the server ends it. Raises Gone, and Unavailable when the connection breaks."""
        try:
            for line in self._response:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refusal(int(event["object"].get("code", 500)), event["object"])
                yield event["type"], event["object"]
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise errors.Unavailable(f"the watch broke off: {error or type(error).__name__}") from error
        finally:
            self._connection.close()

    def close(self) -> None:
        """Wake up whoever iterates."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


class _Named(http.client.HTTPSConnection):
    """TLS to a server whose certificate has another name than the address it is reached at."""

    def __init__(self, host: str, port: int, *, timeout: float, context: Any, server_name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls = context
        self._server_name = server_name

    def connect(self) -> None:
        """As the base class, but for the name."""
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._server_name)


def refusal(status: int, document: Mapping[str, Any]) -> errors.FairleadError:
    """The API server's Status object as one of our errors."""
    message = str(document.get("message") or f"HTTP {status}")
    reason = document.get("reason", "")
    if status == 401:
        return errors.Refused("the API server does not know who asks", hint="log in to the cluster again")
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
    return f"{kind.path}/namespaces/{namespace}/{kind.plural}" + (f"/{name}" if name else "")


def _accept(kind: Kind, metadata_kind: str) -> str:
    return "application/json" + (_METADATA.format(kind=metadata_kind) if kind.metadata_only else "")


def _typed(kind: Kind, body: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}


def _document(answer: bytes) -> Object:
    try:
        document = json.loads(answer)
    except ValueError:
        return {"message": answer[:200].decode(errors="replace")}
    return document if isinstance(document, dict) else {}
