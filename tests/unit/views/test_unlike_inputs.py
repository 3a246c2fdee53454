"""What is said when a candidate gets other rows than stable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts import drift_limits as limits
from fairlead.contracts.status import Condition, Reason
from fairlead.contracts.table import Table
from fairlead.profile.counted import Counted, read
from fairlead.profile.statistics import chi_squared_quantile
from fairlead.views.unlike_inputs import unlike_inputs
from support.drift_texts import a_text
from support.profiles import of_points
from unit.control.console.scene import CANDIDATE, STABLE

FAIR = {"x": [0, 500, 500, 0, 0], "kind": [900, 100, 0, 0, 0]}


def counted(requests: int | None = None, **live: list[int]) -> Counted:
    return read(a_text(of_points(), {**FAIR, **live}, requests))


def told(candidate: Counted, stable: Counted | None = None, sticky: str | None = None) -> Condition:
    table = Table(
        model="iris",
        stable=STABLE,
        candidate=CANDIDATE,
        weight=1000,
        pins=(STABLE, CANDIDATE),
        attempt=1,
        sticky=sticky,
    )
    return unlike_inputs(table, stable or counted(), candidate)


def test_rows_that_are_alike_are_alike() -> None:
    said = told(counted(x=[0, 510, 490, 0, 0]))
    assert (said.reason, said.status, said.message) == (Reason.INPUTS_ALIKE, False, "")


def test_an_input_that_differs_is_named_with_by_how_much_what_to_look_at_and_what_to_do() -> None:
    said = told(counted(x=[0, 900, 100, 0, 0]))
    assert (said.reason, said.status) == (Reason.INPUTS_DIFFER, True)
    assert said.message.startswith("1.1.0 gets other rows than 1.0.0: x differs (PSI 0.87, chance explains 0.037; ")
    assert "0 to 5: 50 % at 1.0.0, 90 % at 1.1.0" in said.message
    assert "or does not answer some rows: see its errors and rejections" in said.message
    assert "`fairlead pause iris`, then look at the sticky header" in said.message
    assert "users" not in said.message


def test_the_input_that_differs_most_is_named_and_the_others_are_counted() -> None:
    said = told(counted(x=[0, 999, 1, 0, 0], kind=[600, 400, 0, 0, 0]))
    assert ": x differs, and so does one more input (" in said.message


def test_answers_that_differ_are_what_a_new_version_changes() -> None:
    assert told(counted(prediction=[0, 1000, 0, 0, 0])).reason == Reason.INPUTS_ALIKE


@pytest.mark.parametrize("few", [limits.LEAST_ROWS, 0])
def test_few_rows_say_nothing(few: int) -> None:
    moved = counted(few, x=[0, 900, 100, 0, 0])
    for said in (told(moved), told(counted(), moved)):
        assert said.reason == Reason.NOT_COMPARED
        assert "more than 500 independent rows of each version" in said.message


def test_versions_with_other_bins_or_no_profile_are_not_compared_and_it_says_what_to_do() -> None:
    moved = counted(x=[0, 900, 100, 0, 0])
    other_bins, no_profile = told(replace(moved, edges="others")), told(moved, Counted())
    assert (other_bins.reason, no_profile.reason) == (Reason.NOT_COMPARED, Reason.NOT_COMPARED)
    assert "`fairlead profile build --edges-from`" in other_bins.message
    assert no_profile.message == "1.0.0 has no profile, so its rows are not counted"


def test_behind_a_sticky_header_what_few_users_explain_is_not_judged() -> None:
    said = told(counted(x=[0, 900, 100, 0, 0]), sticky="x-user-id")
    assert (said.reason, said.status) == (Reason.NOT_COMPARED, False)
    assert said.message.startswith("x differs (PSI 0.87, chance explains 0.037; ")
    assert said.message.endswith("20 users with all requests, who keep their version by x-user-id, explain it too")


def test_behind_a_sticky_header_rows_of_another_kind_are_told_with_the_doubt_about_users() -> None:
    said = told(counted(x=[0, 0, 0, 0, 1000]), sticky="x-user-id")
    assert said.reason == Reason.INPUTS_DIFFER
    assert "or 1.1.0 has very few users (requests are no users)" in said.message


@given(st.integers(0, 2**32 - 1))
def test_a_random_split_of_the_same_rows_is_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.multinomial(3000, [0.02, 0.5, 0.4, 0.05, 0.03])
    mine = random.binomial(rows, 0.3)
    said = told(counted(x=mine.tolist()), counted(x=(rows - mine).tolist()))
    assert said.reason == Reason.INPUTS_ALIKE


BINS, INPUTS, REQUESTS = 13, 20, 30


def of_users(kept: npt.NDArray[np.int64]) -> Counted:
    """What a version counts of users with `REQUESTS` requests each, by the bins of the inputs that each user keeps."""
    one = counted().features[0]
    live = [np.bincount(of_input, minlength=BINS).astype(np.float64) * REQUESTS for of_input in kept.T]
    names = tuple(str(number) for number in range(BINS))
    features = [
        replace(one, feature=f"input {at}", bins=names, live=rows, reference=rows, critical=CRITICAL, starts={})
        for at, rows in enumerate(live)
    ]
    return replace(counted(), requests={"": REQUESTS * len(kept)}, features=tuple(features))


CRITICAL = chi_squared_quantile(0.001, BINS - 1)


@pytest.mark.parametrize(("users", "every"), [(20, 400), (30, 600), (50, 1000), (100, 2000), (20, 40)])
def test_a_fair_sticky_split_of_few_users_is_no_fault_of_routing(users: int, every: int) -> None:
    random = np.random.default_rng(users * every)
    by_requests = 0
    for _ in range(20):
        kept = random.integers(0, 10, (every, INPUTS))
        mine, others = of_users(kept[:users]), of_users(kept[users:])
        assert not told(mine, others, sticky="x-user-id").status
        by_requests += told(mine, others).status
    assert by_requests > 5, "by the number of requests it looks like one"


@pytest.mark.parametrize(("users", "every"), [(20, 400), (100, 2000), (20, 40)])
def test_a_candidate_that_reads_an_input_in_another_unit_is_told_also_where_users_stick(users: int, every: int) -> None:
    random = np.random.default_rng(users * every)
    for _ in range(20):
        kept = random.integers(0, 10, (every, INPUTS))
        kept[:users, 3] = 12
        said = told(of_users(kept[:users]), of_users(kept[users:]), sticky="x-user-id")
        assert said.status
        assert ": input 3 differs" in said.message
