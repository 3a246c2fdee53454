"""What the checks see of a cluster: each list is read once, with the user's own rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Protocol

from fairlead import errors
from fairlead.cli.doctor.finding import NotChecked
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, ROUTES, Kind, Object, label, name_of

OURS = f"{labels.PART_OF}=fairlead"
_PAGE = 500


class ClusterApi(Protocol):
    """The part of the API client that is used here."""

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]: ...  # noqa: D102

    def list_whole(  # noqa: D102
        self, kind: Kind, namespace: str, selector: str = "", *, fields: str = "", page: int = 50
    ) -> Iterator[Object]: ...

    def request(  # noqa: D102
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Object | None = None
    ) -> Object: ...

    def now(self) -> datetime: ...  # noqa: D102


class Seen:
    """One namespace, and what of the cluster belongs to it."""

    def __init__(
        self, api: ClusterApi, namespace: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.api = api
        self.namespace = namespace
        self._clock = clock
        self._lists: dict[tuple[Kind, str, str], tuple[Object, ...] | NotChecked] = {}

    def list(self, kind: Kind, selector: str = "") -> tuple[Object, ...]:
        """The objects of the namespace, none if the cluster has no such kind. Raises NotChecked without the right."""
        return self._listed(kind, self.namespace, selector)

    def everywhere(self, kind: Kind, selector: str = "") -> tuple[Object, ...]:
        """The same for kinds of the whole cluster, and for all namespaces."""
        return self._listed(kind, "", selector)

    def _listed(self, kind: Kind, namespace: str, selector: str) -> tuple[Object, ...]:
        key = (kind, namespace, selector)
        if key not in self._lists:
            self._lists[key] = self._read(*key)
        found = self._lists[key]
        if isinstance(found, NotChecked):
            raise found
        return found

    def _read(self, kind: Kind, namespace: str, selector: str) -> tuple[Object, ...] | NotChecked:
        try:
            if kind.metadata_only:
                return tuple(self.api.list(kind, namespace, selector)[0])
            return tuple(self.api.list_whole(kind, namespace, selector, page=_PAGE))
        except errors.NotFound:
            return ()
        except errors.Refused:
            where = f"in namespace {namespace}" if namespace else "in the whole cluster"
            return needs(f"list {kind.plural} {where}")

    def ask(self, method: str, path: str, needed: str, body: Object | None = None) -> Object:
        """Another request. Raises NotChecked, which names the right that is `needed`, and NotFound."""
        try:
            return self.api.request(method, path, body=body)
        except errors.Refused as refused:
            raise needs(needed) from refused

    @property
    def routes(self) -> tuple[Object, ...]:
        """The ModelRoutes, as the API server has them."""
        return self.list(ROUTES)

    @property
    def deployments(self) -> tuple[Object, ...]:
        """The Deployments of the platform and of its models, without those that are being deleted."""
        return tuple(one for one in self.list(DEPLOYMENTS, OURS) if "deletionTimestamp" not in one["metadata"])

    @property
    def versions(self) -> tuple[Object, ...]:
        """The Deployments of versions."""
        return tuple(one for one in self.deployments if label(one, labels.IDENTITY))

    @property
    def pods(self) -> tuple[Object, ...]:
        """The pods of the platform and of its models that have not ended."""
        return tuple(
            one
            for one in self.list(PODS, OURS)
            if "deletionTimestamp" not in one["metadata"] and phase(one) not in ("Succeeded", "Failed")
        )

    @cached_property
    def groups(self) -> frozenset[str]:
        """The API groups of the cluster, such as `keda.sh`. Every user may read them."""
        found = self.ask("GET", "/apis", "get on the non-resource URL /apis")
        return frozenset(str(one["name"]) for one in found.get("groups") or ())

    @cached_property
    def server_time(self) -> datetime:
        """The API server's clock."""
        return self.api.now()

    @cached_property
    def ahead(self) -> timedelta:
        """How far the clock of this machine is ahead of the API server's, to about a second."""
        before = self._clock()
        there = self.server_time
        after = self._clock()
        # The header has whole seconds, so on average it is half a second behind.
        return before + (after - before) / 2 - (there + timedelta(seconds=0.5))


def needs(right: str) -> NotChecked:
    """A check that needs a right that the user does not have: the verb, the resource and where."""
    return NotChecked(f"needs the right to {right}")


def of_component(found: tuple[Object, ...], component: str) -> list[Object]:
    """Those of a component of the platform."""
    return [one for one in found if label(one, labels.COMPONENT) == component]


def title(deployment: Object) -> str:
    """What people call it: `iris 1.1.0`, or its own name."""
    model, version = label(deployment, labels.MODEL), label(deployment, labels.VERSION)
    return f"{model} {version}" if model and version else name_of(deployment)


def wanted(deployment: Object) -> int:
    """How many pods it should have."""
    return int(deployment["spec"].get("replicas", 1))


def ready(deployment: Object) -> int:
    """How many of its pods are ready."""
    return int((deployment.get("status") or {}).get("readyReplicas") or 0)


def phase(pod: Object) -> str:
    """The phase of a pod."""
    return str((pod.get("status") or {}).get("phase") or "")


def pod_spec(deployment: Object) -> Object:
    """The spec of its pods."""
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


def variables(deployment: Object) -> dict[str, str]:
    """The environment variables of its containers, with their values; empty for those that have none of their own."""
    found = [one for each in pod_spec(deployment)["containers"] for one in each.get("env") or ()]
    return {str(one["name"]): str(one.get("value") or "") for one in found}


def condition(found: Object, kind: str) -> Object:
    """One of the conditions of an object's status; empty if it has none of this type."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((dict(one) for one in conditions if one.get("type") == kind), {})


def moment(text: object) -> datetime:
    """A time of an object's metadata."""
    return datetime.fromisoformat(str(text))
