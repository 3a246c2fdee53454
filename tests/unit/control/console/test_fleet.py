"""What the first page shows: every model, those with a problem first."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.status import Status
from fairlead.control.console.fleet import MAX_ROWS, fleet
from unit.control.console.scene import NOW, PLACE, a_status


def named(status: Status, name: str) -> Status:
    return status.model_copy(update={"route": name})


SERVING, ROLLING, DOWN = a_status(weight=0), a_status(weight=1000), a_status(weight=0, ready=False)
UNKNOWN = Status(route="iris", observed_generation=0, waiting="the control plane to process it")


def test_models_that_are_down_come_first_then_those_in_a_rollout_then_the_others_by_name() -> None:
    statuses = [named(SERVING, "a"), named(SERVING, "b"), named(ROLLING, "c"), named(DOWN, "d"), named(UNKNOWN, "e")]
    assert [row.model for row in fleet(statuses, PLACE, NOW).rows] == ["d", "e", "c", "a", "b"]


def test_the_summary_counts_models_by_health() -> None:
    statuses = [named(SERVING, "a"), named(ROLLING, "c"), named(DOWN, "d")]
    assert fleet(statuses, PLACE, NOW).summary == "3 models: 1 down, 2 serving; 1 in a rollout"
    assert fleet(statuses[:1], PLACE, NOW).summary == "1 model: 1 serving"


def test_a_platform_without_models_says_so() -> None:
    found = fleet([], PLACE, NOW)
    assert (found.summary, found.rows) == ("no models yet", ())


def test_the_title_names_what_is_down_so_that_a_tab_shows_it() -> None:
    assert fleet([DOWN, named(DOWN, "rose"), named(SERVING, "a")], PLACE, NOW).title == "2 down"
    assert fleet([SERVING], PLACE, NOW).title == "Models"


def test_the_summary_has_no_running_time_because_it_is_read_aloud_when_it_changes() -> None:
    later = fleet([DOWN], PLACE, NOW + timedelta(hours=5))
    assert later.summary == fleet([DOWN], PLACE, NOW).summary
    assert later.rows[0].health == "down 5h"


@given(st.lists(st.sampled_from([SERVING, ROLLING, DOWN, UNKNOWN]), max_size=2 * MAX_ROWS))
def test_no_model_with_a_problem_is_left_out_for_one_that_serves(statuses: list[Status]) -> None:
    found = fleet([named(one, f"m{at}") for at, one in enumerate(statuses)], PLACE, NOW)
    assert len(found.rows) + found.left_out == len(statuses)
    assert len(found.rows) <= MAX_ROWS
    if "serving" in {row.mark for row in found.rows}:
        assert sum(row.mark != "serving" for row in found.rows) == sum(one in (DOWN, UNKNOWN) for one in statuses)


def test_a_row_has_the_requests_of_the_last_minutes_where_they_are_known() -> None:
    known, unknown = fleet([named(SERVING, "a"), named(SERVING, "b")], PLACE, NOW, {"a": [0.0, 40.0, 12.3]}).rows
    assert known.load == "12"
    assert "12 requests per second now, at most 40 in the last 10 seconds" in known.drawing
    assert (unknown.load, unknown.drawing) == ("", "")
