"""`fairlead release`: what it starts, what it refuses, and what it says where there is nothing to start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.commands import release
from fairlead.contracts.revision import Cause, Phase, Rejected, Revision, State
from fairlead.contracts.route import Route, RouteSpec, Target, VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.local.state import StateFolder
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OLD, NEW, BAD = (VersionSpec(source=f"/m/{name}").ref(name) for name in ("1.0.0", "1.1.0", "1.2.0"))
REJECTED = (Rejected(ref=BAD, revision=5, reason="smoke: golden row 3: 0.2 is not 0.3"),)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """The ledger of a platform that runs."""
    with StateFolder(tmp_path).locked(), SqliteStore(tmp_path / "ledger.db") as found:
        yield found


def a_route(store: SqliteStore, target: str) -> Route:
    versions = {ref.version: VersionSpec(source=f"/m/{ref}") for ref in (OLD, NEW, BAD)}
    spec = RouteSpec(model="iris", versions=versions, target=Target(version=target))
    return store.put_route("iris", spec, now=NOW, actor="ada")


def a_head(store: SqliteStore, stable: VersionRef = OLD, candidate: VersionRef | None = None, **more: Any) -> None:
    """1.0.0 serves by default, 1.2.0 was rejected in revision 5."""
    state = State(
        phase=Phase.CANARY if candidate else Phase.STABLE,
        target=candidate or stable,
        entered_at=NOW,
        rejected=REJECTED,
        **more,
    )
    table = Table(
        model="iris", stable=stable, candidate=candidate, weight=500 if candidate else 0, pins=(OLD, NEW, BAD)
    )
    store.append(
        Revision(route="iris", seq=1, cause=Cause.STEP, generation=1, table=table, state=state, created_at=NOW)
    )


def test_a_rejected_version_is_refused_and_the_way_to_try_it_again_is_named(tmp_path: Path, store: SqliteStore) -> None:
    before = a_route(store, "1.2.0")
    a_head(store)
    with pytest.raises(errors.Refused, match=r"iris 1\.2\.0 was rejected in revision iris\.5: smoke") as refused:
        release.command("iris", "1.2.0", state=tmp_path)
    assert "fairlead retry iris" in str(refused.value.hint)
    assert exit_codes.code_of(refused.value) == exit_codes.REFUSED
    assert store.route("iris") == before


def test_the_refusal_changes_no_target_so_the_rollout_in_progress_goes_on(tmp_path: Path, store: SqliteStore) -> None:
    a_route(store, "1.1.0")
    a_head(store, candidate=NEW)
    with pytest.raises(errors.Refused, match=r"the rollout of 1\.1\.0 goes on") as refused:
        release.command("iris", "1.2.0", state=tmp_path)
    assert "fairlead release iris 1.2.0 --retry" in str(refused.value.hint)
    assert store.route("iris").spec.target.version == "1.1.0"


def test_with_retry_the_target_changes_before_the_engine_is_asked(tmp_path: Path, store: SqliteStore) -> None:
    a_route(store, "1.1.0")
    a_head(store, candidate=NEW)
    with pytest.raises(errors.Unavailable):  # no control plane runs here that could carry out the retry
        release.command("iris", "1.2.0", retry=True, state=tmp_path)
    assert store.route("iris").spec.target.version == "1.2.0"


def test_a_version_that_serves_already_starts_nothing_and_claims_no_steps(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = a_route(store, "1.0.0")
    a_head(store)
    release.command("iris", "1.0.0", state=tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("iris: 1.0.0 serves already, revision iris.1; no rollout starts\n")
    assert "next:" not in said
    assert store.route("iris") == before


def test_a_version_that_is_being_released_is_left_alone(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = a_route(store, "1.1.0")
    a_head(store, candidate=NEW)
    release.command("iris", "1.1.0", state=tmp_path)
    assert "iris: 1.1.0 is being released already, revision iris.1, at 5 %\n" in capsys.readouterr().out
    assert store.route("iris") == before


def test_stable_as_the_target_during_a_rollout_says_that_the_rollout_ends(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    a_route(store, "1.1.0")
    a_head(store, candidate=NEW)
    release.command("iris", "1.0.0", state=tmp_path)
    said = "target is 1.0.0 (generation 2), which serves already; no rollout starts; the rollout of 1.1.0 ends"
    assert said in capsys.readouterr().out
    assert store.route("iris").spec.target.version == "1.0.0"


def test_another_version_during_a_rollout_says_that_the_rollout_ends(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    a_route(store, "1.2.0")
    a_head(store, stable=BAD, candidate=OLD)
    release.command("iris", "1.1.0", state=tmp_path)
    said = "target is 1.1.0 (generation 2); steps 5 %, 25 %, 50 %; the rollout of 1.0.0 ends"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (None, "iris is paused: it begins after `fairlead resume iris`\n"),
        (NOW, "iris is paused until 2026-01-01T12:00:00Z: it begins then, or after `fairlead resume iris`\n"),
    ],
)
def test_a_release_on_a_paused_route_says_when_it_begins(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str], until: datetime | None, said: str
) -> None:
    a_route(store, "1.0.0")
    a_head(store, paused=True, paused_until=until)
    release.command("iris", "1.1.0", state=tmp_path)
    assert said in capsys.readouterr().out


def test_the_first_version_has_no_steps(tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]) -> None:
    a_route(store, "1.0.0")
    release.command("iris", "1.1.0", state=tmp_path)
    assert "it is the first version, and serves as soon as it is ready" in capsys.readouterr().out


def test_the_same_release_again_prints_the_same_document(
    tmp_path: Path, store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    a_route(store, "1.0.0")
    a_head(store)
    release.command("iris", "1.0.0", state=tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out) == store.route("iris").to_json()
