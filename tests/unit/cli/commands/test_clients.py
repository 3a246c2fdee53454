"""`fairlead clients`: what each client has used of its quota."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli.commands.clients import command
from fairlead.contracts.access import Quota
from fairlead.contracts.quota_use import QuotaUse, Used
from fairlead.control.kept_quotas import QUOTAS, QuotaFile
from fairlead.store.sqlite import SqliteStore


@pytest.fixture
def state(tmp_path: Path) -> Path:
    SqliteStore(tmp_path / "ledger.db").close()
    today = datetime.now(UTC).date().isoformat()
    quotas = {"shop": Quota(day=10), "web": Quota(day=10, month=99)}
    clients = {"shop": Used(day=today, in_day=4, in_month=40), "web": Used(day=today, in_day=10, in_month=20)}
    QuotaFile(tmp_path / QUOTAS).save(QuotaUse(clients=clients, quotas=quotas, gateways={}))
    return tmp_path


def test_the_use_is_a_table(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(None, state)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["client", "today", "of", "this", "month", "of", "state"],
        ["shop", "4", "10", "40", "-", "open"],
        ["web", "10", "10", "20", "99", "used", "up", "until", "midnight", "UTC"],
    ]


def test_the_use_of_one_client_is_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("web", state, as_json=True)
    [found] = json.loads(capsys.readouterr().out)
    assert found == {
        "client": "web",
        "used": {"day": 10, "month": 20},
        "quota": {"day": 10, "month": 99},
        "usedUp": "day",
    }


def test_who_has_no_quota_and_where_no_platform_is_are_told(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("staff", state)
    assert capsys.readouterr().out == "client staff has no quota\n"
    (state / QUOTAS).unlink()
    command(None, state)
    assert capsys.readouterr().out == "no client has a quota\n"
    with pytest.raises(errors.Unavailable, match="there is no platform"):
        command(None, state / "elsewhere")
