"""The terminal of `fairlead up` shows an error of a model once, and how often it came again."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import errors, logs
from fairlead.contracts.platform import ControlSettings, EntryTlsSettings, GatewaySettings, Platform
from fairlead.local.state import StateFolder
from fairlead.local.up import IDLE_READS, ChildLogs, require_ports
from support.log_entries import raised
from support.processes import free_port


@pytest.fixture
def level() -> Iterator[None]:
    """The level of `up` without options."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    root.setLevel("WARNING")
    yield
    root.setLevel(before[0])


def write(folder: Path, *lines: str) -> None:
    with (folder / "iris-1.0.0-ab12-0.log").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_the_same_traceback_is_shown_once_and_counted(tmp_path: Path, level: None) -> None:
    children = ChildLogs(tmp_path)
    for second in range(50):
        write(tmp_path, json.dumps(raised(second / 10).fields), "a print of the model")
    (error,) = children.new()
    assert "traceback" in error.fields
    later = [entry for _ in range(IDLE_READS + 1) for entry in children.new()]
    assert [str(entry.fields["message"]).partition(" until")[0] for entry in later] == [
        "ValueError: bad: the same error 49 more times"
    ]
    assert logs.as_text(later[0].fields).count("\n") == 0


def test_a_taken_port_with_tls_is_changed_in_the_platform_file(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tls = EntryTlsSettings(certificate="tls.crt", key="tls.key", port=port)
        platform = Platform(
            gateway=GatewaySettings(port=free_port(), tls=tls), control=ControlSettings(port=free_port())
        )
        with pytest.raises(errors.Conflict, match=f"port {port} for TLS cannot be used") as caught:
            require_ports(StateFolder(tmp_path), platform)
    assert caught.value.hint == "name another one in the platform file: gateway.tls.port"
