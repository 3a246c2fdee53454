"""Results of explain(). tests/integration/routing compares them with a real gateway."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.table import Mirror
from fairlead.routing.explain import Explanation, explain
from fairlead.routing.rules import RuleAction
from fairlead.routing.snapshot import Routed
from unit.routing.tables import V1, V2, V3, iris

CANARY = iris(candidate=V2, weight=2500, mirrors=(Mirror(version=V3, share=100),))


def explained(routed: Routed, path: str, *headers: tuple[str, str], method: str = "POST") -> Explanation:
    explanation = explain(routed, path, headers, method=method)
    assert explanation is not None
    return explanation


def test_without_a_sticky_header_there_are_probabilities() -> None:
    split = explained(CANARY, "/models/iris/predict")
    assert (split.action, split.version, split.bucket) == (RuleAction.SPLIT, None, None)
    assert split.probabilities == {"1.0.0": 0.75, "1.1.0": 0.25}
    assert split.mirrors == {"1.2.0-rc.1": 0.01}
    assert split.revision == "iris.12"
    assert "no x-user-id header" in split.words


def test_a_sticky_header_determines_the_version() -> None:
    split = explained(CANARY, "/v2/models/iris/infer", ("X-User-Id", "ada"))
    assert split.version in (V1, V2)
    assert split.bucket is not None
    assert split.sticky_keys == ("ada|iris|0",)
    assert (split.version == V2) == (split.bucket >= 7500)
    assert str(split.version) in split.words
    assert sorted(split.probabilities.values()) == [0, 1]


@pytest.mark.parametrize("values", [[""], [" \t"], ["", " "], [",", " , "]])
def test_a_blank_sticky_header_is_no_key(values: list[str]) -> None:
    split = explained(CANARY, "/models/iris/predict", *(("x-user-id", value) for value in values))
    assert (split.version, split.bucket, split.sticky_keys) == (None, None, ())
    assert split.probabilities == {"1.0.0": 0.75, "1.1.0": 0.25}
    assert split.words.endswith("drawn anew for each request, because the x-user-id header is blank")


def test_whitespace_around_a_sticky_value_does_not_count() -> None:
    bare, padded = (explained(CANARY, "/models/iris/predict", ("x-user-id", value)) for value in ("ada", " ada\t"))
    assert bare == padded


@given(st.text(max_size=50), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_user_keeps_the_candidate_as_the_weight_rises(user: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    at_low = explained(iris(candidate=V2, weight=low), "/models/iris/predict", ("x-user-id", user))
    at_high = explained(iris(candidate=V2, weight=high), "/models/iris/predict", ("x-user-id", user))
    assert at_low.bucket == at_high.bucket
    if at_low.bucket is None:
        return  # blank: no user
    assert at_low.version != V2 or at_high.version == V2


def test_the_order_of_several_header_lines_does_not_matter() -> None:
    lines = [("x-user-id", "a"), ("x-user-id", "b")]
    assert (
        explained(CANARY, "/models/iris/predict", *lines).bucket
        == explained(CANARY, "/models/iris/predict", *lines[::-1]).bucket
    )


def test_a_pin_by_path_takes_precedence_over_a_pin_by_header() -> None:
    pin = explained(CANARY, "/models/iris/versions/1.1.0/predict", ("x-model-version", "1.0.0"))
    assert (pin.action, pin.version, pin.words) == (RuleAction.PIN, V2, "pinned to 1.1.0 by the path")
    assert explained(CANARY, "/models/iris/predict", ("x-model-version", "1.0.0")).words.endswith(
        "header x-model-version"
    )


def test_an_unknown_version_is_missing_and_not_split() -> None:
    for path, headers in (
        ("/models/iris/versions/9/predict", ()),
        ("/models/iris/predict", (("x-model-version", "9"),)),
    ):
        missing = explained(CANARY, path, *headers)
        assert (missing.action, missing.version) == (RuleAction.MISSING, None)
        assert missing.words.startswith("404: model iris has no such version")


def test_docs_come_from_stable_outside_the_split() -> None:
    docs = explained(CANARY, "/models/iris/docs/x.css", method="GET")
    assert (docs.action, docs.version) == (RuleAction.DIRECT, V1)


def test_a_path_of_another_model_is_not_explained() -> None:
    assert explain(CANARY, "/models/iris2/predict", ()) is None
    assert explain(CANARY, "/models", ()) is None


def test_the_query_string_is_ignored() -> None:
    assert explained(CANARY, "/models/iris/predict?x=/models/iris/docs").action is RuleAction.SPLIT


def test_at_weight_0_and_100_percent_the_version_is_certain() -> None:
    assert explained(iris(candidate=V2, weight=0), "/models/iris/predict").version == V1
    assert explained(iris(candidate=V2, weight=10_000), "/models/iris/predict").version == V2
    assert explained(iris(sticky=None), "/models/iris/predict", ("x-user-id", "ada")).version == V1
