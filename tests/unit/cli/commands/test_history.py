"""`fairlead history`: revisions, windows and evidence, as tables and as JSON."""

from __future__ import annotations

import json
import math
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from fairlead import errors
from fairlead.cli.commands import history
from fairlead.contracts.revision import Cause, Check, Phase, Revision, State, Verdict
from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table
from fairlead.contracts.window import Counts, GateEvidence, Window
from fairlead.rollout.analysis.counts import CHANGED_GAP
from fairlead.store.sqlite import SqliteStore

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STABLE, CANDIDATE = (VersionSpec().ref(version) for version in ("1.0.0", "1.1.0"))


def a_window(at: int, *, log_harm: float = 0.0, gap: str | None = None, requests: bool = True) -> Window:
    counts = {} if gap or not requests else {"candidate": Counts(n=1000, bad=50), "stable": Counts(n=9000, bad=18)}
    return Window(
        start=START + timedelta(seconds=5 * at),
        end=START + timedelta(seconds=5 * at + 5),
        weight=1000,
        gap=gap,
        evidence=(GateEvidence(gate="errors", log_harm=log_harm, log_safe=-2.0),),
        **counts,
    )


def a_revision(seq: int, cause: Cause, *windows: Window, attempt: int = 0, **more: Any) -> Revision:
    phase = {Cause.RELEASED: Phase.PREPARING, Cause.STEP: Phase.CANARY}.get(cause, Phase.STABLE)
    return Revision(
        route="iris",
        seq=seq,
        cause=cause,
        generation=1,
        table=Table(model="iris", stable=STABLE, pins=(STABLE,)),
        state=State(target=CANDIDATE if attempt else STABLE, entered_at=START, attempt=attempt, phase=phase),
        windows=windows,
        created_at=START + timedelta(seconds=10 * seq),
        **more,
    )


def write(state: Path, *revisions: Revision) -> Path:
    """Append the revisions to the ledger in this folder."""
    with closing(SqliteStore(state / "ledger.db")) as store:
        for revision in revisions:
            head = store.head("iris")
            store.append(revision.model_copy(update={"parent": head.hash if head else ""}))
    return state


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A ledger with one revision, which stores two windows, and one window since then."""
    windows = (a_window(0, gap="no gateway told its counters"), a_window(1, log_harm=6.7))
    write(tmp_path, a_revision(1, Cause.ROLLED_BACK, *windows))
    with closing(SqliteStore(tmp_path / "ledger.db")) as store:
        store.add_window("iris", a_window(2, log_harm=70.0))
    return tmp_path


@pytest.fixture
def two_attempts(tmp_path: Path) -> Path:
    """Two attempts: the first was rolled back on evidence, the second got no requests and was promoted."""
    check = Check(gate="errors", verdict=Verdict.FAIL, reason="", numbers={"harm_at": math.log(300), "safe_at": 3.0})
    idle = [a_window(at, requests=False) for at in range(2, 29)]
    return write(
        tmp_path,
        a_revision(1, Cause.CREATED),
        a_revision(2, Cause.RELEASED, attempt=1, actor="alice", reason="better"),
        a_revision(
            3,
            Cause.ROLLED_BACK,
            a_window(0),
            a_window(1, log_harm=7.0),
            attempt=1,
            reason="too many",
            evidence=(check,),
        ),
        a_revision(4, Cause.RELEASED, attempt=2, actor="bob", reason="again"),
        a_revision(5, Cause.PROMOTED, *idle, attempt=2, reason="1.1.0 passed every step"),
    )


def shown(state: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    history.command("iris", evidence=True, limit=options.pop("limit", 20), state=state, **options)
    return capsys.readouterr().out


def test_evidence_of_too_few_windows_is_shown_beside_what_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = GateEvidence(gate="errors", log_harm=0.6, log_unconfirmed=6.7, worse_windows=1, told_windows=2)
    check = Check(gate="errors", verdict=Verdict.FAIL, reason="", numbers={"harm_at": math.log(300), "safe_at": 3.0})
    window = a_window(1).model_copy(update={"evidence": (said,)})
    out = shown(write(tmp_path, a_revision(1, Cause.ROLLED_BACK, window, evidence=(check,))), capsys)
    assert "1.8 of 812 / 1" in out
    assert '"2 of 812": only 2 counts, because the rest is of too few windows.' in " ".join(out.split())
    assert "1.8 (300 rolls back; 812 is of too few windows to count, 1 of 2 windows say the same)" in out


def test_evidence_is_shown_per_window_with_counts_and_odds(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title, header, gap, last, since, legend, *picture = shown(state, capsys).splitlines()
    assert title == "iris, attempt 0: stable -> candidate"
    assert header.split() == ["UNTIL", "LED", "TO", "WEIGHT", "CANDIDATE", "STABLE", "ERRORS", "NOTE"]
    assert gap.rstrip().endswith("1 window not counted: no gateway told its counters")
    assert last.split()[1:] == ["iris.1", "10", "%", "50", "of", "1,000", "18", "of", "9,000", "812", "/", "0.14"]
    assert since.split()[1] == "-"
    assert "10^30 / 0.14" in since
    assert legend.startswith("CANDIDATE, STABLE: bad requests of all.")
    assert next(line for line in picture if line.startswith("errors")).split()[1] == "·██"


def test_windows_without_requests_are_one_row(two_attempts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line for line in shown(two_attempts, capsys).splitlines() if "without requests" in line]
    assert [row.split()[-4:] for row in rows] == [["27", "windows", "without", "requests"]]
    assert rows[0].split()[:2] == ["2026-01-01T12:02:25Z", "iris.5"]


def test_windows_with_the_same_gap_are_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = ["a", "a", "a", "b", None, "a"]
    windows = [a_window(at, gap=gap) for at, gap in enumerate(gaps)]
    write(tmp_path, a_revision(1, Cause.RELEASED, attempt=1), a_revision(2, Cause.ROLLED_BACK, *windows, attempt=1))
    notes = [line.split("-  ")[-1].strip() for line in shown(tmp_path, capsys).splitlines() if "not counted" in line]
    assert notes == ["3 windows not counted: a", "1 window not counted: b", "1 window not counted: a"]


def test_windows_in_which_the_table_changed_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = [a_window(at, gap=CHANGED_GAP if at in (0, 2) else None) for at in range(4)]
    end = a_revision(2, Cause.ROLLED_BACK, *windows, attempt=1, reason="1.1.0 was rolled back: errors: too many")
    write(tmp_path, a_revision(1, Cause.RELEASED, attempt=1), end)
    said = shown(tmp_path, capsys)
    assert "Not shown: 2 windows in which the routing table changed.\n" in said
    assert "inside the window" not in said
    # The line begins with "rolled back" already.
    assert said.split("\n\n")[0].endswith("by fairlead, revision iris.2: errors: too many")
    assert "not counted" not in said


def test_where_nothing_else_was_counted_the_row_says_that_the_table_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = a_revision(2, Cause.ROLLED_BACK, a_window(0, gap=CHANGED_GAP), attempt=1)
    write(tmp_path, a_revision(1, Cause.RELEASED, attempt=1), end)
    assert "1 window not counted: the routing table changed during this window" in shown(tmp_path, capsys)


def test_each_attempt_has_its_own_table_with_its_end(two_attempts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *rest = shown(two_attempts, capsys).split("\n\n")
    assert first.startswith("iris, attempt 1: 1.0.0 -> 1.1.0\n")
    assert "1 is none. 300 rolls back, 20 shows safety.\n" in first
    assert first.endswith("rolled back at 2026-01-01T12:00:30Z by fairlead, revision iris.3: too many")
    assert second.startswith("iris, attempt 2: 1.0.0 -> 1.1.0\n")
    assert "there is no evidence about this attempt: neither version got a request while it was counted" in second
    assert second.endswith("promoted at 2026-01-01T12:00:50Z by fairlead, revision iris.5: 1.1.0 passed every step")
    assert rest in ([""], [])


def test_no_evidence_at_all_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, a_revision(1, Cause.CREATED))
    said = "iris: revisions iris.1 contain no evidence: there was no rollout in them; --limit shows older revisions\n"
    assert shown(tmp_path, capsys) == said


def test_an_attempt_in_which_nothing_was_counted_has_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = a_revision(2, Cause.ROLLED_BACK, attempt=1, reason="ready: no instance")
    write(tmp_path, a_revision(1, Cause.RELEASED, attempt=1), end)
    lines = shown(tmp_path, capsys).splitlines()
    assert lines[1] == "nothing was counted in this attempt"
    assert lines[2].endswith("revision iris.2: ready: no instance")
    assert lines[-1].startswith("iris: revisions iris.1 to iris.2 contain no evidence: no request was counted")


def test_the_picture_is_written_to_the_named_file(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = state / "evidence.svg"
    history.command("iris", svg=to, limit=20, state=state)
    assert capsys.readouterr().out == f"{to}: iris, attempt 0: stable -> candidate, 3 windows\n"
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


def test_svg_to_a_dash_is_written_to_stdout_and_to_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    windows = tuple(a_window(at) for at in range(3))
    state = write(tmp_path, a_revision(1, Cause.CREATED), a_revision(2, Cause.RELEASED, attempt=1))
    state = write(state, a_revision(3, Cause.PROMOTED, *windows, attempt=1))
    history.command("iris", svg=Path("-"), state=state)
    assert ElementTree.fromstring(capsys.readouterr().out).tag.endswith("svg")
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize("more", [{"evidence": True}, {"svg": Path("a.svg")}, {"at": "2026-01-01T12:00:00Z"}])
def test_verify_is_refused_with_an_option_that_it_would_ignore(tmp_path: Path, more: dict[str, Any]) -> None:
    state = write(tmp_path, a_revision(1, Cause.CREATED))
    with pytest.raises(errors.Invalid, match="--verify and --"):
        history.command("iris", verify=True, state=state, **more)


def test_a_picture_and_a_table_on_stdout_are_refused_before_the_ledger_is_read(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="--svg - and --evidence cannot be used together"):
        history.command("iris", evidence=True, svg=Path("-"), state=tmp_path / "nowhere")


def test_a_long_reason_is_cut_in_the_table_and_whole_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = write(tmp_path, a_revision(1, Cause.CREATED, reason="words " * 4500))
    history.command("iris", state=state)
    assert capsys.readouterr().out.count("words") == 83
    history.command("iris", state=state, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["reason"] == "words " * 4500
