"""The counts of drift of a model's pods, through the Kubernetes API with the user's own rights.

The right is `get` on `pods/proxy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.contracts.instance import Instance
from fairlead.control.drift import ANSWER_S, MAX_BYTES, Fetch
from fairlead.store.kubernetes.api import Limit

_LIMIT = Limit(MAX_BYTES, ANSWER_S)


class PodApi(Protocol):
    """The part of the API client that is used here."""

    def read(self, path: str, query: Mapping[str, str], *, limit: Limit | None = None) -> bytes: ...  # noqa: D102


class PodStore(Protocol):
    """The part of the store that is used here."""

    @property
    def api(self) -> PodApi: ...  # noqa: D102


def fetch(store: PodStore) -> Fetch:
    """Asks a pod at its port without TLS, which answers this path to everybody who reaches it."""

    def ask(instance: Instance) -> str:
        namespace, pod = (quote(one, safe="") for one in (instance.namespace, instance.id.rpartition("/")[2]))
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{instance.port}/proxy{DRIFT_PATH}"
        return store.api.read(path, {}, limit=_LIMIT).decode(errors="replace")

    return ask
