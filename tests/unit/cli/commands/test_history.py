"""`fairlead history`: what was counted and what it says, as people and as programs read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fairlead.cli.commands import history
from fairlead.contracts.revision import Cause, Counts, GateEvidence, Revision, State, Window
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table
from fairlead.store.sqlite import SqliteStore

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STABLE = VersionSpec().ref("1.0.0")


def a_window(at: int, *, log_harm: float = 0.0, gap: str | None = None) -> Window:
    counts = {} if gap else {"candidate": Counts(n=1000, bad=50), "stable": Counts(n=9000, bad=18)}
    return Window(
        start=START + timedelta(seconds=5 * at),
        end=START + timedelta(seconds=5 * at + 5),
        weight=1000,
        gap=gap,
        evidence=(GateEvidence(gate="errors", log_harm=log_harm, log_safe=-2.0),),
        **counts,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """One revision, led to by two windows, and one window since."""
    store = SqliteStore(tmp_path / "ledger.db")
    table = Table(model="iris", stable=STABLE, pins=(STABLE,))
    windows = (a_window(0, gap="no gateway told its counters"), a_window(1, log_harm=6.7))
    store.append(
        Revision(
            route="iris",
            seq=1,
            cause=Cause.ROLLED_BACK,
            generation=1,
            table=table,
            state=State(target=STABLE, entered_at=START),
            windows=windows,
            created_at=START + timedelta(seconds=10),
        )
    )
    store.add_window("iris", a_window(2, log_harm=70.0))
    store.close()
    return tmp_path


def test_evidence_is_told_window_by_window_with_counts_and_odds(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.command("iris", evidence=True, limit=20, state=state)
    header, gap, last, since, legend = capsys.readouterr().out.splitlines()
    assert header.split() == ["UNTIL", "LED", "TO", "WEIGHT", "CANDIDATE", "STABLE", "ERRORS", "GAP"]
    assert gap.rstrip().endswith("no gateway told its counters")
    assert last.split()[1:] == ["iris.1", "10", "%", "50", "of", "1,000", "18", "of", "9,000", "812", "/", "0.14"]
    assert since.split()[1] == "-"
    assert "10^30 / 0.14" in since
    assert legend.startswith("Candidate and stable: bad of all.")


def test_json_has_the_whole_windows(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.command("iris", evidence=True, limit=20, state=state, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [one["revision"] for one in told] == ["iris.1", "iris.1", None]
    assert told[1]["window"]["evidence"][0]["logHarm"] == 6.7
