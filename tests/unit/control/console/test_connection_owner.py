"""Whose connection it is, by the real table of this machine and by tables that were written down."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.control.console.connection_owner import PROC, owner

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 8081)


def written(host: str, port: int) -> str:
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


def row(local: str, remote: str, state: str, uid: int) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5d} 0 1 1 0 20 4 30 10 -1\n"


def test_the_kernel_says_whose_connection_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert owner(client.getsockname(), server.getsockname()) == (os.getuid() if PROC.exists() else None)


def test_only_an_established_connection_of_these_two_ends_counts(tmp_path: Path) -> None:
    mine, theirs, other = written(*CLIENT), written(*SERVER), written("127.0.0.2", CLIENT[1])
    rows = row(mine, theirs, "06", 0) + row(theirs, mine, "01", 1) + row(other, theirs, "01", 2)
    (tmp_path / "tcp").write_text(HEAD + rows + row(mine, theirs, "01", 1000))
    assert owner(CLIENT, SERVER, tmp_path) == 1000


def test_a_socket_for_both_versions_of_ip_is_found(tmp_path: Path) -> None:
    prefix = "0000000000000000FFFF0000"
    (tmp_path / "tcp").write_text(HEAD)
    (tmp_path / "tcp6").write_text(HEAD + row(prefix + written(*CLIENT), prefix + written(*SERVER), "01", 1000))
    assert owner(CLIENT, SERVER, tmp_path) == 1000


def test_a_connection_that_is_not_in_the_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(HEAD)
    with pytest.raises(errors.Refused, match="whose connection"):
        owner(CLIENT, SERVER, tmp_path)


def test_a_system_without_a_table_says_nothing(tmp_path: Path) -> None:
    assert owner(CLIENT, SERVER, tmp_path) is None
