"""The logs of a model's pods, and what gateways log about it, through the Kubernetes API with the user's own rights
(`get` on `pods/log`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import quote

from fairlead import errors
from fairlead.cli.cluster import open_store, platform_of
from fairlead.contracts import labels
from fairlead.local.log_files import GATEWAY, Entry, comparable, in_order, parse
from fairlead.store.kubernetes.kinds import PODS, Kind, Object, name_of

CONTAINER = "model"
GATEWAYS = f"{labels.PART_OF}=fairlead,{labels.COMPONENT}={labels.COMPONENT_GATEWAY}"
GATEWAY_CONTAINER = "envoy"
GATEWAY_LINES = 5000
"""The newest lines of a gateway's pod that are looked at: they are about all models."""


class PodApi(Protocol):
    """The part of the API client that is used here."""

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]: ...  # noqa: D102
    def read(self, path: str, query: Mapping[str, str]) -> bytes: ...  # noqa: D102


def reader(
    context: str | None, namespace: str | None, model: str, version: str | None, limit: int
) -> Callable[[], list[Entry]]:
    """Returns the new lines of the model's pods at every call; at the first one, the newest `limit` of each pod.

    Raises NotFound for an unknown model, or when it has no pod.
    """
    store = open_store(context, namespace)
    store.route(model)
    return PodLogs(store.api, store.namespace, model, version, limit, platform=platform_of(store)).read


class PodLogs:
    """The lines of the pods of a model, or of one version."""

    def __init__(
        self, api: PodApi, namespace: str, model: str, version: str | None, limit: int, *, platform: str = ""
    ) -> None:
        """`platform` is the namespace of the gateways; empty: the model's own."""
        self._api, self._namespace, self._limit = api, namespace, limit
        self._platform = platform or namespace
        self._model, self._version = model, version
        self._what = f"{model} {version or ''}".rstrip()
        self._selector = f"{labels.MODEL}={model}" + (f",{labels.VERSION}={version}" if version else "")
        self._newest: dict[str, str] = {}

    def read(self) -> list[Entry]:
        """The lines since the last call. Raises NotFound when there was no pod yet."""
        pods, _ = self._api.list(PODS, self._namespace, self._selector)
        if not pods and not self._newest:
            raise errors.NotFound(
                f"no pod of {self._what} is in namespace {self._namespace}",
                hint=f"see the models: fairlead status --namespace {self._namespace}",
            )
        own = [entry for pod in pods for entry in self._entries(name_of(pod), CONTAINER, self._limit)]
        try:
            gateways, _ = self._api.list(PODS, self._platform, GATEWAYS)
        except errors.Refused:
            if self._platform == self._namespace:
                raise
            gateways = []  # a team that shares a platform sees its own pods
        return in_order([*own, *(entry for pod in gateways for entry in self._of_gateway(name_of(pod)))])

    def _of_gateway(self, pod: str) -> Iterator[Entry]:
        for entry in self._entries(pod, GATEWAY_CONTAINER, GATEWAY_LINES, self._platform):
            if entry.concerns(self._model, (), self._version):
                yield Entry(GATEWAY, {**entry.fields, "pod": pod})

    def _entries(self, pod: str, container: str, lines: int, namespace: str = "") -> list[Entry]:
        since = self._newest.get(pod)
        query = {"container": container, "timestamps": "true"}
        # The API takes whole seconds; lines that were shown already are left out below.
        query |= {"sinceTime": f"{since[:19]}Z"} if since else {"tailLines": str(lines)}
        path = f"/api/v1/namespaces/{quote(namespace or self._namespace, safe='')}/pods/{quote(pod, safe='')}/log"
        try:
            text = self._api.read(path, query).decode(errors="replace")
        except errors.Refused:
            if namespace in ("", self._namespace):
                raise
            return []
        except (errors.NotFound, errors.Invalid):
            return []  # the pod is gone, or its container has not started yet
        found: list[Entry] = []
        for line in text.splitlines():
            written, _, said = line.partition(" ")
            stamp = comparable(written)
            if since is None or stamp > since:
                found += parse(GATEWAY if container == GATEWAY_CONTAINER else pod, [said], stamp)
                self._newest[pod] = max(self._newest.get(pod, ""), stamp)
        return found
