"""The drift of pods through the Kubernetes API: which path is asked, within which limits, and what is told."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from fairlead import errors
from fairlead.cli.pod_drift import fetch
from fairlead.control.drift import ANSWER_S, MAX_BYTES, counts_of
from fairlead.store.kubernetes.api import Limit
from support.drift_texts import a_text
from support.profiles import of_points
from unit.control.console.scene import an_instance

POD = an_instance().model_copy(update={"id": "default/iris-1-abc", "namespace": "team a", "port": 8080})


class Pods:
    """An API server whose only pod tells this, or refuses."""

    def __init__(self, told: bytes | errors.FairleadError) -> None:
        self.told, self.asked, self.limits = told, list[str](), list[Limit | None]()

    @property
    def api(self) -> Pods:
        return self

    def read(self, path: str, query: Mapping[str, str], *, limit: Limit | None = None) -> bytes:
        assert not query
        self.asked.append(path)
        self.limits.append(limit)
        if isinstance(self.told, errors.FairleadError):
            raise self.told
        return self.told


def test_a_pod_is_asked_at_its_port_through_the_api_with_a_limit() -> None:
    pods = Pods(b"told")
    assert fetch(pods)(POD) == "told"
    assert pods.asked == ["/api/v1/namespaces/team%20a/pods/iris-1-abc:8080/proxy/metrics/drift"]
    assert pods.limits == [Limit(MAX_BYTES, ANSWER_S)]


def test_bytes_that_are_no_text_do_not_hide_the_rest() -> None:
    assert fetch(Pods(b"a\xffb"))(POD) == "a\ufffdb"


def test_the_name_of_a_pod_cannot_lead_to_another_path() -> None:
    pods = Pods(b"")
    fetch(pods)(POD.model_copy(update={"id": "default/..?x=1#", "namespace": "a/b"}))
    assert pods.asked == ["/api/v1/namespaces/a%2Fb/pods/..%3Fx%3D1%23:8080/proxy/metrics/drift"]


@pytest.mark.parametrize(
    ("told", "rows", "problem"),
    [
        (a_text(of_points(), {"x": [0, 3, 4, 1, 0]}).encode(), 8, ""),
        (errors.Refused("pods is forbidden"), None, "instance iris-1-abc: pods is forbidden"),
        (b"\xff", None, "it does not say whether it has a profile"),
    ],
    ids=["counts", "no right", "no text"],
)
def test_what_a_pod_tells_or_why_it_does_not_is_shown(
    told: bytes | errors.FairleadError, rows: int | None, problem: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        (asked,) = counts_of([POD], fetch(Pods(told)), pool).values()
    assert (asked.counted.rows if asked.counted else None) == rows
    assert problem in "".join(asked.problems)
