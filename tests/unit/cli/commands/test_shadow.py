"""`fairlead shadow`: the comparison and the most important disagreements, as tables and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli.commands import shadow
from fairlead.contracts.answers import Compared, Disagreement, Kind, Pairs, ShadowStatus, VersionAnswer
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.status import Status
from fairlead.store.sqlite import SqliteStore

VERSIONS = {"1.0.0": VersionSpec(source="/m/1"), "1.1.0": VersionSpec(source="/m/2")}
STABLE, CANDIDATE = (spec.ref(name) for name, spec in VERSIONS.items())


def differing(number: int, kind: Kind, said: VersionAnswer) -> Disagreement:
    live = VersionAnswer(version=STABLE, label="high", score=0.99)
    return Disagreement(request_id=f"{number:032x}", kind=kind, live=live, shadow=said)


SHADOW = ShadowStatus(
    compared=(Compared(live=STABLE, shadow=CANDIDATE, pairs=Pairs(n=400, class_changed=12, failed=1)),),
    lost=7,
    silent=("default/iris/1.1.0/x/0",),
    worst=(
        differing(1, "class", VersionAnswer(version=CANDIDATE, label="low", score=0.98)),
        differing(2, "failed", VersionAnswer(version=CANDIDATE, status=500)),
    ),
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "ledger.db")
    spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.1.0"))
    store.put_route("iris", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="ada")
    store.close()
    return tmp_path


def write_status(state: Path, shadow_status: ShadowStatus | None) -> None:
    numbers = {"log_harm": 0.0, "log_safe": 3.0}
    check = Check(gate="agreement", verdict=Verdict.INCONCLUSIVE, reason="13 of 400", numbers=numbers)
    status = Status(route="iris", observed_generation=1, target=CANDIDATE, checks=(check,), shadow=shadow_status)
    store = SqliteStore(state / "ledger.db")
    store.set_status("iris", status.to_json())
    store.close()


def test_pairs_rates_disagreements_and_lost_records_are_shown(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state, SHADOW)
    shadow.command("iris", limit=10, state=state)
    notice, _, *lines = capsys.readouterr().out.splitlines()
    assert notice.startswith("the platform is not running")
    assert lines[0].split() == ["LIVE", "SHADOW", "PAIRS", "DIFFER", "CLASS", "FAILED", "SCHEMA", "SCORE"]
    assert lines[1].split()[:5] == ["1.0.0", "1.1.0", "400", "13", "(3.25%)"]
    text = "\n".join(lines)
    assert "agreement: inconclusive: 13 of 400" in text
    assert "odds that it differs too often / that it agrees: 1 / 20" in text
    assert "7 answer records were overwritten" in text
    assert "answer records not read from: default/iris/1.1.0/x/0" in text
    assert lines[-2].rstrip().split("  ") == [
        "00000000-0000-0000-0000-000000000001",
        "another class",
        "high 0.99 (1.0.0)",
        "low 0.98 (1.1.0)",
    ]
    assert "status 500 (1.1.0)" in lines[-1]


def test_limit_sets_the_number_of_disagreements(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state, SHADOW)
    shadow.command("iris", limit=1, state=state)
    assert "status 500" not in capsys.readouterr().out


@pytest.mark.parametrize("how", [{"as_json": True}, {"output": "json"}])
def test_json_has_the_whole_status(state: Path, capsys: pytest.CaptureFixture[str], how: dict[str, object]) -> None:
    write_status(state, SHADOW)
    shadow.command("iris", limit=10, state=state, **how)  # type: ignore[arg-type]
    assert ShadowStatus.model_validate(json.loads(capsys.readouterr().out)) == SHADOW


def test_a_model_without_a_comparison_gets_a_hint_how_to_start_one(state: Path) -> None:
    with pytest.raises(errors.NotFound, match="no responses of iris have been compared yet") as refused:
        shadow.command("iris", limit=10, state=state)
    assert "strategy.shadow" in (refused.value.hint or "")


def test_a_missing_model_is_not_found(state: Path) -> None:
    with pytest.raises(errors.NotFound, match="there is no route 'rose'"):
        shadow.command("rose", limit=10, state=state)
