from __future__ import annotations

from fairlead.contracts.route import VersionRef
from fairlead.rollout.analysis.shadows import ComparedVersions, ShadowMatcher
from fairlead.rollout.ports import CollectedAnswers

STABLE, CANDIDATE = (VersionRef(version=name, identity=name * 10) for name in ("1", "2"))
COMPARED = ComparedVersions(attempt=1, stable=STABLE, candidate=CANDIDATE, tolerance=0.0)


def test_answers_of_a_deleted_route_are_dropped_and_those_of_others_stay() -> None:
    matcher = ShadowMatcher()
    matcher.receive({name: CollectedAnswers((), {}, 3, ()) for name in ("iris", "diabetes")})
    for name in ("iris", "diabetes"):
        matcher.match(name, COMPARED, None)
    matcher.keep({"diabetes"})
    assert matcher.status("iris") is None
    assert (status := matcher.status("diabetes")) is not None
    assert status.lost == 3
