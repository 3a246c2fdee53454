"""Answers that clients do not read are bounded together, and the client that waits longest loses its connection."""

from __future__ import annotations

import pytest

from fairlead.serving.http.unread import UnreadAnswers


class Transport:
    """The transport of a connection with so many bytes that are not sent."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_aborted = False

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.is_aborted = True


class Connection:
    """A connection whose client does not read."""

    def __init__(self, size: int) -> None:
        self.transport = Transport(size)


def paused(answers: UnreadAnswers, *sizes: int) -> list[Connection]:
    connections = [Connection(size) for size in sizes]
    for one in connections:
        answers.paused(one)
    return connections


def test_answers_up_to_the_limit_stay() -> None:
    assert not any(one.transport.is_aborted for one in paused(UnreadAnswers(100), 60, 40))


def test_the_first_to_stop_reading_are_ended_until_the_others_have_room(caplog: pytest.LogCaptureFixture) -> None:
    connections = paused(UnreadAnswers(100), 30, 30, 30, 70)
    assert [one.transport.is_aborted for one in connections] == [True, True, False, False]
    assert "does not read its answer" in caplog.text


def test_what_was_sent_meanwhile_does_not_count() -> None:
    answers = UnreadAnswers(100)
    (first,) = paused(answers, 90)
    first.transport.size = 10
    paused(answers, 90)
    assert not first.transport.is_aborted


@pytest.mark.parametrize("times", [1, 2])
def test_a_client_that_reads_again_counts_no_longer(times: int) -> None:
    answers = UnreadAnswers(100)
    (first,) = paused(answers, 90)
    for _ in range(times):
        answers.reads(first)
    paused(answers, 90)
    assert not first.transport.is_aborted
