"""`fairlead history`: revisions, windows and evidence, as tables and as JSON."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fairlead import errors
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
    """A ledger with one revision, which stores two windows, and one window since then."""
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


def test_evidence_is_shown_per_window_with_counts_and_odds(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.command("iris", evidence=True, limit=20, state=state)
    header, gap, last, since, legend, *picture = capsys.readouterr().out.splitlines()
    assert header.split() == ["UNTIL", "LED", "TO", "WEIGHT", "CANDIDATE", "STABLE", "ERRORS", "GAP"]
    assert gap.rstrip().endswith("no gateway told its counters")
    assert last.split()[1:] == ["iris.1", "10", "%", "50", "of", "1,000", "18", "of", "9,000", "812", "/", "0.14"]
    assert since.split()[1] == "-"
    assert "10^30 / 0.14" in since
    assert legend.startswith("CANDIDATE, STABLE: bad requests of all.")
    assert picture[2].split()[:2] == ["errors", "·██"]


def test_the_picture_is_written_to_the_named_file(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = state / "evidence.svg"
    history.command("iris", svg=to, limit=20, state=state)
    assert capsys.readouterr().out == f"{to}: attempt 0 of iris, 3 windows\n"
    assert ElementTree.parse(to).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_picture_that_cannot_be_written_is_refused_with_its_path(state: Path) -> None:
    with pytest.raises(errors.Invalid, match="no/evidence.svg: cannot be written: No such file or directory"):
        history.command("iris", svg=state / "no" / "evidence.svg", limit=20, state=state)


def test_a_picture_of_revisions_without_windows_is_refused(state: Path) -> None:
    with closing(SqliteStore(state / "ledger.db")) as store:
        head = store.head("iris")
        assert head is not None
        later = {"seq": 2, "parent": head.hash, "windows": (), "created_at": head.created_at + timedelta(seconds=9)}
        store.append(head.model_copy(update={**later, "hash": ""}))
    with pytest.raises(errors.NotFound, match="nothing was counted"):
        history.command("iris", svg=state / "x.svg", at="2026-01-01T12:00:20", limit=1, state=state)


def test_the_shown_time_of_a_revision_finds_it_with_at(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(SqliteStore(state / "ledger.db")) as store:
        head = store.head("iris")
        assert head is not None
        later = {"seq": 2, "parent": head.hash, "created_at": head.created_at + timedelta(seconds=9.8)}
        store.append(head.model_copy(update={**later, "hash": ""}))
    history.command("iris", limit=1, state=state)
    shown = capsys.readouterr().out.splitlines()[1].split()
    assert shown[:2] == ["iris.2", "2026-01-01T12:00:19Z"]
    history.command("iris", at=shown[1], limit=1, state=state)
    assert capsys.readouterr().out.splitlines()[1].split() == shown
    history.command("iris", at="2026-01-01T12:00:19.5", limit=1, state=state)
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "iris.1"


def test_json_has_complete_windows(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history.command("iris", evidence=True, limit=20, state=state, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [one["revision"] for one in rows] == ["iris.1", "iris.1", None]
    assert rows[1]["window"]["evidence"][0]["logHarm"] == 6.7
