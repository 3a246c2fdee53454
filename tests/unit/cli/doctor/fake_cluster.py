"""An API server with objects by plural, for checks. It refuses what the test says, and knows no other kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fairlead import errors
from fairlead.cli.doctor.finding import Check, Finding, examine
from fairlead.cli.doctor.seen import Seen
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Kind, Object

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class FakeCluster:
    """`refuses` has plurals, and paths of requests. `answers` are responses by path, without which it is not found."""

    def __init__(self, *refuses: str, answers: Mapping[str, Object] | None = None, **objects: list[Object]) -> None:
        self.refuses, self.objects, self.answers = refuses, objects, {"/apis": {}, **(answers or {})}
        self.server_time = NOW

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        return list(self.list_whole(kind, namespace, selector)), ""

    def list_whole(
        self,
        kind: Kind,
        namespace: str,  # noqa: ARG002 - the real one has it
        selector: str = "",  # noqa: ARG002
        *,
        fields: str = "",  # noqa: ARG002
        page: int = 50,  # noqa: ARG002
    ) -> Iterator[Object]:
        if kind.plural in self.refuses:
            raise errors.Refused(f"API server: {kind.plural} is forbidden")
        if kind.plural not in self.objects:
            raise errors.NotFound("API server: not found")
        yield from self.objects[kind.plural]

    def request(
        self,
        method: str,  # noqa: ARG002
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002
        body: Object | None = None,  # noqa: ARG002
    ) -> Object:
        if path in self.refuses:
            raise errors.Refused(f"API server: {path} is forbidden")
        if path not in self.answers:
            raise errors.NotFound("API server: not found")
        return self.answers[path]

    def now(self) -> datetime:
        return self.server_time


def found_by(cluster: FakeCluster, check: Check[Seen]) -> list[Finding]:
    """The findings of one check. The clock of this machine says NOW."""
    return list(examine(Seen(cluster, "prod", clock=lambda: NOW), [check]))


def said_by(cluster: FakeCluster, check: Check[Seen]) -> list[str]:
    """Level and fact of each finding."""
    return [f"{one.level}: {one.what}" for one in found_by(cluster, check)]


def a_version(name: str = "iris-0123456789", *, ready: int = 1, scaled_by: str = "", **spec: object) -> Object:
    """The Deployment of iris 1.0.0, which wants one pod."""
    names = {
        labels.MODEL: "iris",
        labels.ROUTE: "iris",
        labels.VERSION: "1.0.0",
        labels.IDENTITY: "0123456789",
        labels.COMPONENT: labels.COMPONENT_MODEL,
    }
    container = {"name": "model", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    return {
        "metadata": {"name": name, "labels": {**names, **({labels.SCALED_BY: scaled_by} if scaled_by else {})}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {labels.MODEL: "iris"}},
            "template": {"spec": {"containers": [container], **spec}},
        },
        "status": {"readyReplicas": ready},
    }
