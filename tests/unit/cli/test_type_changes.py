"""`fairlead deploy` and `fairlead release` show what a version changes for the clients of stable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli import exit_codes, type_changes
from fairlead.cli.commands import deploy, release
from fairlead.cli.connect import actor
from fairlead.contracts.acceptance import acceptance_of
from fairlead.contracts.revision import Cause, Check, Phase, Revision, State, Verdict
from fairlead.contracts.status import Condition, Reason, Status
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
    release.command("doubler", "1.1.0", skip_check=True, accept_breaking=True, state=state)
    assert capsys.readouterr().out.startswith(SAID)


@pytest.fixture
def stricter(state: Path) -> Path:
    """1.1.0 breaks clients of 1.0.0, and is deployed."""
    deploy.command(folders.make(state / "1.1.0", code=STRICTER, version="1.1.0"), skip_check=True, state=state)
    return state


def test_a_release_that_breaks_clients_is_refused_with_the_list_and_the_option_that_accepts_it(
    stricter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SqliteStore(stricter / "ledger.db") as store:
        before = store.route("doubler")
        capsys.readouterr()
        with pytest.raises(errors.Refused) as refused:
            release.command("doubler", "1.1.0", skip_check=True, state=stricter)
        assert capsys.readouterr().out == SAID
        assert store.route("doubler") == before
    assert refused.value.message == (
        "doubler 1.1.0 is not released: 1 changed type breaks clients of the version that serves"
    )
    assert refused.value.hint == (
        f"if those clients are ready for it: fairlead release doubler 1.1.0 --accept-breaking --state {stricter}"
    )
    assert exit_codes.code_of(refused.value) == exit_codes.REFUSED


def test_a_release_that_is_accepted_says_so_on_the_route_and_in_the_ledgers_reason(stricter: Path) -> None:
    release.command(
        "doubler", "1.1.0", skip_check=True, accept_breaking=True, reason="all clients moved", state=stricter
    )
    with SqliteStore(stricter / "ledger.db") as store:
        route = store.route("doubler")
    assert route.spec.target.version == "1.1.0"
    said = acceptance_of(route.annotations)
    assert (said.version, said.actor, said.reason) == ("1.1.0", actor(), "all clients moved")
    assert "after doubler.1" in said.text
    assert route.reason == "all clients moved; its breaking types are accepted"


def test_what_is_being_released_already_can_still_be_accepted(stricter: Path) -> None:
    with SqliteStore(stricter / "ledger.db") as store:
        route = store.route("doubler")
        spec = route.spec.model_copy(update={"target": route.spec.target.model_copy(update={"version": "1.1.0"})})
        before = store.put_route("doubler", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="git")
        head = store.head("doubler")
        assert head is not None
        state = head.state.model_copy(update={"phase": Phase.PREPARING, "target": spec.target_ref})
        store.append(
            head.model_copy(update={"seq": 2, "parent": head.hash, "state": state, "generation": 2, "hash": ""})
        )
        release.command("doubler", "1.1.0", accept_breaking=True, state=stricter)
        found = store.route("doubler")
    assert (found.generation, acceptance_of(found.annotations).version) == (before.generation, "1.1.0")


def test_what_waits_because_it_breaks_clients_is_refused_again_until_it_is_accepted(stricter: Path) -> None:
    with SqliteStore(stricter / "ledger.db") as store:
        route, head = store.route("doubler"), store.head("doubler")
        assert head is not None
        target = route.spec.target.model_copy(update={"version": "1.1.0"})
        spec = route.spec.model_copy(update={"target": target})
        now = datetime(2026, 1, 1, tzinfo=UTC)
        store.put_route("doubler", spec, now=now, actor="git")
        preparing = head.state.model_copy(update={"phase": Phase.PREPARING, "target": spec.target_ref})
        store.append(
            head.model_copy(update={"seq": 2, "parent": head.hash, "state": preparing, "generation": 2, "hash": ""})
        )
        waits = Condition(type="Progressing", status=False, reason=Reason.BREAKING_TYPES, since=now)
        status = Status(route="doubler", observed_generation=2, conditions=(waits,), candidate=spec.target_ref)
        store.set_status("doubler", status.to_json())
        with pytest.raises(errors.Refused, match="it waits at 0 %") as refused:
            release.command("doubler", "1.1.0", state=stricter)
    assert "fairlead release doubler 1.1.0 --accept-breaking" in str(refused.value.hint)


class Statuses:
    """The status of the route, as a control plane writes it after some reads."""

    def __init__(self, *statuses: Status) -> None:
        self._statuses = list(statuses)

    def status(self, route: str) -> dict[str, object] | None:
        return (self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]).to_json()


def a_status(attempt: int, verdict: Verdict = Verdict.PASS, reason: str = "", generation: int = 2) -> Status:
    checks = (Check(gate="smoke", verdict=verdict, reason=reason),)
    return Status(route="iris", observed_generation=generation, attempt=attempt, checks=checks)


def broken(attempt: int, verdict: Verdict, reason: str) -> Status:
    found = a_status(attempt, verdict, reason)
    (smoke,) = found.checks
    return found.model_copy(update={"checks": (smoke.model_copy(update={"numbers": {"breaking": 1}}),)})


DIFFERS = "1 golden rows answered as expected through the gateway; for its clients, 1.1.0 changes the types of 1.0.0: "
DIFFERS += "breaking: row.value: at least 0, was -100; safe: answer.unit: added, optional"


def compared(capsys: pytest.CaptureFixture[str], *statuses: Status) -> str:
    type_changes.say_compared_types(
        Statuses(*statuses),
        a_route(),
        canary(attempt=3),
        every_s=0.001,
        accept="fairlead release iris 1.1.0 --accept-breaking -n prod",
        within_s=0.1,
    )
    return capsys.readouterr().out


def test_in_a_cluster_they_are_those_that_the_engine_found_in_the_new_attempt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = a_status(3, reason=DIFFERS.replace("1.1.0", "0.9.0")), a_status(4, Verdict.INCONCLUSIVE)
    assert compared(capsys, *before, broken(4, Verdict.PASS, DIFFERS)) == SAID


def test_in_a_cluster_breaking_ones_that_the_engine_waits_for_are_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = broken(4, Verdict.INCONCLUSIVE, f"1.1.0 breaks clients of 1.0.0: {DIFFERS}")
    with pytest.raises(errors.Refused) as refused:
        compared(capsys, held)
    assert capsys.readouterr().out == SAID
    assert "iris 1.1.0 gets no users, because it breaks clients of 1.0.0: it waits at 0 %" in refused.value.message
    assert "fairlead release iris 1.1.0 --accept-breaking -n prod" in str(refused.value.hint)


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
    with pytest.raises(errors.Invalid):
        schemas_in_own_process(folder)
    deploy.command(folder, skip_check=True, state=state)
    assert "changes" not in capsys.readouterr().out
