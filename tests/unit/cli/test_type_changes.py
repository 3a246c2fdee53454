"""`fairlead deploy` and `fairlead release` show what a version changes for the clients of stable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.cli import type_changes
from fairlead.cli.commands import deploy, release
from fairlead.contracts.revision import Cause, Check, Phase, Revision, State, Verdict
from fairlead.contracts.status import Status
from fairlead.contracts.table import Table
from fairlead.serving.check.own_process import schemas_in_own_process
from fairlead.store.sqlite import SqliteStore
from support import folders
from unit.rollout.policy.builders import a_route, canary

STRICTER = folders.DOUBLER.replace("value: float = Field(ge=-100", "value: float = Field(ge=0").replace(
    "class Doubled(BaseModel):\n", "class Doubled(BaseModel):\n    unit: str = 'm'\n"
)
SAID = """1.1.0 changes the types of 1.0.0, 1 breaking:
  breaking: row.value: at least 0, was -100
  safe: answer.unit: added, optional
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """1.0.0 serves."""
    with SqliteStore(tmp_path / "ledger.db") as store:
        deploy.command(folders.make(tmp_path / "1.0.0"), skip_check=True, state=tmp_path)
        (route,) = store.routes()
        stable = route.spec.versions["1.0.0"].ref("1.0.0")
        now = datetime(2026, 1, 1, tzinfo=UTC)
        store.append(
            Revision(
                route=route.name,
                seq=1,
                cause=Cause.CREATED,
                generation=1,
                table=Table(model=route.name, stable=stable, pins=(stable,)),
                state=State(phase=Phase.STABLE, target=stable, entered_at=now),
                created_at=now,
            )
        )
    return tmp_path


def test_changed_types_are_shown_at_deploy_and_again_at_release(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy.command(folders.make(state / "1.1.0", code=STRICTER, version="1.1.0"), skip_check=True, state=state)
    assert SAID in capsys.readouterr().out
    monkeypatch.setattr(type_changes, "schemas_in_own_process", lambda folder: pytest.fail("they are remembered"))
    release.command("doubler", "1.1.0", skip_check=True, state=state)
    assert capsys.readouterr().out.startswith(SAID)


class Statuses:
    """The status of the route, as a control plane writes it after some reads."""

    def __init__(self, *statuses: Status) -> None:
        self._statuses = list(statuses)

    def status(self, route: str) -> dict[str, object] | None:
        return (self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]).to_json()


def a_status(attempt: int, verdict: Verdict = Verdict.PASS, reason: str = "", generation: int = 2) -> Status:
    checks = (Check(gate="smoke", verdict=verdict, reason=reason),)
    return Status(route="iris", observed_generation=generation, attempt=attempt, checks=checks)


DIFFERS = "1 golden rows answered as expected through the gateway; for its clients, 1.1.0 changes the types of 1.0.0, "
DIFFERS += "1 breaking: breaking: row.value: at least 0, was -100; safe: answer.unit: added, optional"


def compared(capsys: pytest.CaptureFixture[str], *statuses: Status) -> str:
    type_changes.say_compared_types(
        Statuses(*statuses),
        a_route(),
        canary(attempt=3),
        every_s=0.001,
        within_s=0.1,
    )
    return capsys.readouterr().out


def test_in_a_cluster_they_are_those_that_the_engine_found_in_the_new_attempt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = a_status(3, reason=DIFFERS.replace("1.1.0", "0.9.0")), a_status(4, Verdict.INCONCLUSIVE)
    assert compared(capsys, *before, a_status(4, reason=DIFFERS)) == SAID


def test_equal_types_are_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    assert compared(capsys, a_status(4, reason="1 golden rows answered as expected through the gateway")) == ""


@pytest.mark.parametrize("status", [a_status(3), a_status(4, Verdict.INCONCLUSIVE), a_status(4, generation=1)])
def test_a_version_that_is_not_compared_yet_will_be_before_its_first_weight(
    status: Status, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "are compared with those of 1.0.0 before its first weight" in compared(capsys, status)


def test_beside_json_they_are_on_standard_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make(state / "1.1.0", code=STRICTER, version="1.1.0")
    deploy.command(folder, skip_check=True, state=state, as_json=True)
    said = capsys.readouterr()
    assert SAID in said.err
    assert json.loads(said.out)["name"] == "doubler"


def test_the_same_types_are_not_mentioned(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deploy.command(folders.make(state / "1.1.0", version="1.1.0", artifact=b"3"), skip_check=True, state=state)
    assert "changes" not in capsys.readouterr().out


def test_a_folder_whose_code_cannot_be_read_is_not_compared(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make(state / "1.1.0", code="import nope", version="1.1.0")
    assert schemas_in_own_process(folder) is None
    deploy.command(folder, skip_check=True, state=state)
    assert "changes" not in capsys.readouterr().out
