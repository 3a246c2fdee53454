"""The logs of a model's pods, through the Kubernetes API with the user's own rights (`get` on `pods/log`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import quote

from fairlead import errors
from fairlead.cli.cluster import open_store
from fairlead.contracts import labels
from fairlead.local.log_files import Entry, comparable, in_order, parse
from fairlead.store.kubernetes.kinds import PODS, Kind, Object, name_of

CONTAINER = "model"


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
    return PodLogs(store.api, store.namespace, model, version, limit).read


class PodLogs:
    """The lines of the pods of a model, or of one version."""

    def __init__(self, api: PodApi, namespace: str, model: str, version: str | None, limit: int) -> None:
        self._api, self._namespace, self._limit = api, namespace, limit
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
        return in_order([entry for pod in pods for entry in self._entries(name_of(pod))])

    def _entries(self, pod: str) -> list[Entry]:
        since = self._newest.get(pod)
        query = {"container": CONTAINER, "timestamps": "true"}
        # The API takes whole seconds; lines that were shown already are left out below.
        query |= {"sinceTime": f"{since[:19]}Z"} if since else {"tailLines": str(self._limit)}
        path = f"/api/v1/namespaces/{quote(self._namespace, safe='')}/pods/{quote(pod, safe='')}/log"
        try:
            text = self._api.read(path, query).decode(errors="replace")
        except (errors.NotFound, errors.Invalid):
            return []  # the pod is gone, or its container has not started yet
        found: list[Entry] = []
        for line in text.splitlines():
            written, _, said = line.partition(" ")
            stamp = comparable(written)
            if since is None or stamp > since:
                found += parse(pod, [said], stamp)
                self._newest[pod] = max(self._newest.get(pod, ""), stamp)
        return found
