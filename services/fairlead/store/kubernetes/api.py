"""The API server through the Kubernetes client: six verbs and a watch, plain data, its refusals in our words.

Of the client we use what every request needs (connections, TLS, credentials and their renewal, proxies, watches) and
none of its 700 models: what is stored are our own contracts, and what we ask for is often less than a whole object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

import orjson
import urllib3.exceptions
from kubernetes import watch
from kubernetes.client import ApiClient, ApiException
from kubernetes.client.rest import RESTResponse
from kubernetes.config import ConfigException

from fairlead import errors
from fairlead.store.kubernetes.access import Access
from fairlead.store.kubernetes.kinds import Kind, Object

TIMEOUT_S = 10.0
"""For a connection, and again for each piece of an answer."""
CONNECTIONS = 16
"""Kept per API server: one per watched kind, and a few for requests."""
PAGE = 500
_METADATA = ";as={kind};g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
_CREDENTIAL = ["BearerToken"]
"""What the client calls the token, or the password, of its configuration."""


class AlreadyExists(errors.Conflict):
    """An object of that name is there."""


class Gone(errors.Unavailable):
    """The API server no longer knows the version that a list or watch wants to go on from: list anew."""


class Api:
    """One API server, as one user. Any thread may use it: a connection serves one request at a time."""

    def __init__(self, access: Access, *, timeout_s: float = TIMEOUT_S) -> None:
        self.access = access
        self._timeout_s = timeout_s
        # Who tries again, and when, is decided here and by our callers: not three times more by a pool below us.
        access.configuration.retries = False
        access.configuration.connection_pool_maxsize = CONNECTIONS
        self._client = ApiClient(access.configuration)
        self._client.user_agent = "fairlead"

    def close(self) -> None:
        """Let go of idle connections. It may be used again afterwards."""
        self._client.close()

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
        return _document(self._answer(method, path, query=query, body=body, content=content, accept=accept))

    def read(self, path: str, query: Mapping[str, str]) -> bytes:
        """What is no document, such as a log. Raises as `request`."""
        return self._answer("GET", path, query=query, accept="*/*")

    def watch(self, kind: Kind, namespace: str, since: str, *, timeout_s: float) -> Watch:
        """What changes from a resource version on, for so long."""
        selected = {"labelSelector": kind.selector} if kind.selector else {}

        def follow(
            *,
            watch: bool,  # noqa: ARG001 - the names are those by which the client's Watch calls
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

        return Watch(follow, since, round(timeout_s), self._told)

    def _answer(self, method: str, path: str, **request: Any) -> bytes:
        with self._told():
            try:
                status, answer = self._exchange(method, path, **request)
            except urllib3.exceptions.ProtocolError:
                # A connection that was closed while it was idle. Everything we send may be sent twice: names and
                # resource versions tell the second from the first.
                status, answer = self._exchange(method, path, **request)
        if status >= 300:
            raise refusal(status, _document(answer))
        return answer

    def _exchange(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        answer = self._send(method, path, silence_s=self._timeout_s, **request)
        return answer.status, answer.read()

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
        # A token that was read from a file may end with its line; a header may not.
        headers = {name: value.strip() for name, value in headers.items()}
        return self._client.call_api(method, url, headers, sent, _request_timeout=(self._timeout_s, silence_s))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the client raises, in our words."""
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
            hint=f"it is the one of {self.access.context}" if self.access.context else None,
        )


class Watch:
    """A stream of changes. `close` may be called by another thread, and ends the iteration once it has begun."""

    def __init__(
        self,
        follow: Callable[..., object],
        since: str,
        timeout_s: int,
        told: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._follow, self._since, self._timeout_s, self._told = follow, since, timeout_s, told
        self._stream = watch.Watch()

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        """(type, object) until the server ends it. Raises Gone, and Unavailable when the connection breaks."""
        where = {"resource_version": self._since, "timeout_seconds": self._timeout_s}
        with self._told():
            for event in self._stream.stream(self._follow, **where):
                if event is None:
                    raise errors.Unavailable("the watch broke off: a line of it is not JSON")
                yield event["type"], event["object"]

    def close(self) -> None:
        """Wake up whoever iterates."""
        self._stream.stop()


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
    return f"{kind.path}/namespaces/{quote(namespace, safe='')}/{kind.plural}" + (
        f"/{quote(name, safe='')}" if name else ""
    )


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
    """The cause below the client's words, which name its own objects."""
    causes = [one for one in (error.__cause__, *error.args[1:]) if isinstance(one, Exception)]
    told = causes[0] if causes else error
    if isinstance(told, TimeoutError | urllib3.exceptions.TimeoutError):
        return "it did not answer in time"
    return str(told) or type(told).__name__
