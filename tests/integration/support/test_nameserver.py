"""Tests of the DNS server: it resolves names, and `close` ends it."""

from __future__ import annotations

import socket
import threading

from support.nameserver import NameServer

QUESTION = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"
MORE_THAN_THE_BUFFER = 2000


def test_it_ends_even_if_a_full_socket_buffer_loses_the_packet_that_wakes_it() -> None:
    server = NameServer("127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _ in range(MORE_THAN_THE_BUFFER):
            asking.sendto(QUESTION, ("127.0.0.1", server.port))
        server.close()
        thread = threading.Thread(target=server.run)
        thread.start()
        thread.join(5)
    assert not thread.is_alive()


def test_it_answers_with_its_address() -> None:
    server = NameServer("127.0.0.7")
    thread = threading.Thread(target=server.run)
    thread.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(QUESTION, ("127.0.0.1", server.port))
        answer = asking.recv(512)
    server.close()
    thread.join(5)
    assert answer.endswith(socket.inet_aton("127.0.0.7"))
    assert (server.names, server.asked) == ({"a": 1}, {"A": 1})
