"""Joining live with mirrored answers: each pair once, in any order, with repetitions, within bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.answers import Pairs, checksum, checksum_label
from fairlead.contracts.route import VersionSpec
from fairlead.rollout.analysis.pairs import MAX_WORST, Joiner, differs
from fairlead.rollout.ports import Answer

STABLE, CANDIDATE, THIRD = (VersionSpec(source=f"/m/{name}").ref(name) for name in ("1.0.0", "1.1.0", "1.2.0"))
FIELDS = {"label": "string", "score": "number"}
LIVE = Answer("1", STABLE, False, 200, "a", 0.9, FIELDS)
MIRRORED = replace(LIVE, ref=CANDIDATE, shadow=True)
TOLERANCE = 0.1


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"score": 0.81}, None),
        ({"score": 0.79}, "score"),
        ({"score": None}, "score"),
        ({"label": "b"}, "class"),
        ({"label": None}, "class"),
        ({"label": checksum_label(checksum("a"))}, None),
        ({"label": checksum_label(checksum("b"))}, "class"),
        ({"fields": {**FIELDS, "more": "string"}}, None),
        ({"fields": {"label": "string"}}, "schema"),
        ({"fields": {**FIELDS, "score": "string"}}, "schema"),
        ({"status": 500, "label": None, "score": None}, "failed"),
        ({"status": 422, "label": None, "score": None}, "failed"),
    ],
)
def test_how_a_mirrored_answer_differs(changes: dict[str, object], kind: str | None) -> None:
    assert differs(LIVE, replace(MIRRORED, **changes), TOLERANCE) == kind  # type: ignore[arg-type]


def test_a_live_answer_that_failed_is_no_pair_and_its_retry_is() -> None:
    joiner = Joiner()
    failed = replace(LIVE, status=500, label=None, score=None)
    assert joiner.join([failed, MIRRORED], TOLERANCE) == {}
    assert joiner.join([LIVE], TOLERANCE) == {(STABLE, CANDIDATE): Pairs(n=1)}


def test_two_shadows_of_one_request_are_a_pair_each() -> None:
    other = replace(MIRRORED, ref=THIRD, label="b")
    found = Joiner().join([LIVE, MIRRORED, other], TOLERANCE)
    assert found == {(STABLE, CANDIDATE): Pairs(n=1), (STABLE, THIRD): Pairs(n=1, class_changed=1)}


ANSWERS = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from("ab")).map(
        lambda one: replace(MIRRORED if one[1] else LIVE, request_id=str(one[0]), label=one[2])
    ),
    max_size=60,
)


@given(ANSWERS, st.lists(st.integers(0, 60), max_size=5))
def test_in_any_order_and_however_often_each_id_is_a_pair_at_most_once(answers: list[Answer], cuts: list[int]) -> None:
    joiner, total = Joiner(), Pairs()
    bounds = [0, *sorted(cuts), len(answers)]
    for start, stop in zip(bounds, bounds[1:], strict=False):
        for pairs in joiner.join(answers[start:stop], TOLERANCE).values():
            total = total.plus(pairs)
    live = {one.request_id for one in answers if not one.shadow}
    mirrored = {one.request_id for one in answers if one.shadow}
    assert total.n == len(live & mirrored)
    assert total.differ <= total.n


@given(st.permutations([LIVE, MIRRORED, replace(LIVE, label="b"), replace(MIRRORED, label="b")]))
def test_an_id_that_is_repeated_is_one_pair_of_the_first_of_each(answers: list[Answer]) -> None:
    (pairs,) = Joiner().join(answers, TOLERANCE).values()
    live = next(one for one in answers if not one.shadow)
    shadow = next(one for one in answers if one.shadow)
    assert pairs == Pairs(n=1, class_changed=int(live.label != shadow.label))


@given(st.integers(1, 50), st.integers(0, 200))
def test_waiting_answers_are_bounded_and_the_oldest_are_dropped_first(held: int, count: int) -> None:
    joiner = Joiner(held)
    joiner.join([replace(LIVE, request_id=str(number)) for number in range(count)], TOLERANCE)
    assert len(joiner) == min(held, count)
    newest = replace(MIRRORED, request_id=str(count - 1))
    assert bool(joiner.join([newest], TOLERANCE)) == bool(count)


def test_an_id_that_is_closed_is_never_paired() -> None:
    joiner, later = Joiner(), [replace(LIVE, request_id="later"), replace(MIRRORED, request_id="later")]
    joiner.join([LIVE, MIRRORED, later[0]], TOLERANCE)
    joiner.close()
    assert joiner.join([LIVE, MIRRORED, *later], TOLERANCE) == {}


def test_the_surest_change_of_class_comes_first_and_the_list_is_bounded() -> None:
    joiner = Joiner()
    for number in range(3 * MAX_WORST):
        score = (number * 7 % 60) / 100
        live = replace(LIVE, request_id=f"{number:02}", score=score)
        changes = {"label": "b"} if number % 2 else {"score": score + 0.3}
        joiner.join([live, replace(MIRRORED, request_id=live.request_id, **{"score": score, **changes})], TOLERANCE)  # type: ignore[arg-type]
    scores = [one.live.score for one in joiner.worst]
    assert {one.kind for one in joiner.worst} == {"class"}
    assert len(scores) == MAX_WORST
    assert scores == sorted(scores, key=lambda score: -(score or 0))
