from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.inference.process.channel import Channel


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = map(Channel, socket.socketpair())
    yield one, other
    one.close()
    other.close()


@given(sizes=st.lists(st.integers(0, 3_000_000), max_size=4))
def test_messages_of_any_size_arrive_whole_and_in_order(sizes: list[int]) -> None:
    one, other = map(Channel, socket.socketpair())
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]

    def send() -> None:
        for message in messages:
            one.send(message)

    sending = threading.Thread(target=send)
    sending.start()
    received = [other.receive(10) for _ in messages]
    sending.join()
    one.close()
    other.close()
    assert received == messages


def test_a_message_that_does_not_come_in_time_is_a_timeout(ends: tuple[Channel, Channel]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].receive(0.01)


def test_a_closed_end_is_an_end_of_file(ends: tuple[Channel, Channel]) -> None:
    ends[1].close()
    with pytest.raises(EOFError):
        ends[0].receive()
