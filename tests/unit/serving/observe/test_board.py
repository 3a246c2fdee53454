"""What workers say about themselves, and what follows from it for the service."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference.lifecycle import Lifecycle
from fairlead.serving.observe.board import PHASES, Board
from fairlead.serving.observe.shared_memory import SharedMemory


def boards(workers: int = 2) -> list[Board]:
    """The board as each worker has it."""
    memory, found = SharedMemory(workers), []
    for number in range(workers):
        one = copy.copy(memory)
        one.own = number
        found.append(Board(one))
    return found


@given(st.lists(st.sampled_from(PHASES), min_size=1, max_size=4))
def test_the_service_is_ready_exactly_when_all_workers_that_take_connections_are(phases: list[str]) -> None:
    workers = boards(len(phases))
    for worker, phase in zip(workers, phases, strict=True):
        worker.enter(phase, "because")
    assert {worker.phase() == "ready" for worker in workers} == {all(phase == "ready" for phase in phases)}


def test_a_service_of_which_no_worker_has_begun_is_loading() -> None:
    assert boards()[0].phase() == "loading"


def test_a_worker_that_replaces_another_takes_connections_once_it_is_ready() -> None:
    first, second = boards()
    first.enter("ready", "ready")
    first.ended(1)
    first.begin(1, is_first=False)
    assert not second.try_to_take()
    assert first.phase() == "ready"
    second.enter("ready", "ready")
    assert second.try_to_take()


def test_a_worker_that_replaces_another_takes_connections_at_once_if_nobody_else_does() -> None:
    first, second = boards()
    second.begin(1, is_first=False)
    assert not second.try_to_take()
    first.ended(0)
    assert second.try_to_take()


def test_what_a_worker_said_of_itself_ends_with_it() -> None:
    first, second = boards()
    second.set_levels([3, 4])
    second.beat(12.0)
    second.enter("hanging", "a call")
    assert (first.levels()[:2], first.alive_at(1), first.obstacle(["hanging"])) == (
        [3, 4],
        12.0,
        "worker 2 of 2: a call",
    )
    assert first.ended(1) == "hanging"
    assert (first.levels()[:2], first.alive_at(1), first.obstacle(["hanging"])) == ([0, 0], None, "")


@pytest.mark.parametrize(
    "failure", [errors.LoadFailed("no weights"), errors.Invalid("ä" * 5000, hint="ü" * 5000), errors.NotFound("none")]
)
def test_the_master_gets_the_error_of_a_worker(failure: errors.FairleadError) -> None:
    first, second = boards()
    assert first.failure(1) is None
    second.fail(failure)
    found = first.failure(1)
    assert type(found) is type(failure)
    assert failure.message.startswith(found.message)
    assert len(found.message) >= min(len(failure.message), 1000)


def test_why_no_made_up_rows_are_asked_is_left_to_the_next_worker() -> None:
    first, second = boards()
    second.skipped = "row 1 did not return"
    first.ended(1)
    first.begin(1, is_first=False)
    assert (first.skipped, second.skipped) == ("", "row 1 did not return")


def test_a_worker_is_ready_only_with_the_others_and_alive_while_one_of_them_is() -> None:
    mine, other = boards()
    state = Lifecycle(mine)
    state.enter("ready", "ready")
    other.enter("hanging", "a call has not returned")
    with pytest.raises(errors.NotReady, match="worker 2 of 2: a call has not returned"):
        state.check_ready()
    state.check_alive()
    state.enter("hanging", "mine neither")
    with pytest.raises(errors.NotReady, match="mine neither"):
        state.check_alive()
    other.enter("ready", "ready")
    state.check_alive()


def test_the_fewest_connections_are_those_of_another_worker_that_is_ready() -> None:
    first, second, third = boards(3)
    assert first.fewest_connections() is None
    for worker, count in ((first, 1), (second, 5), (third, 3)):
        worker.enter("ready", "ready")
        worker.has_connections(count)
    assert (first.fewest_connections(), third.fewest_connections()) == (3, 1)
    third.enter("hanging", "a call")
    assert first.fewest_connections() == 5
