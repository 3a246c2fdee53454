"""`fairlead logs`: whose lines of the gateway and of the supervisor it shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.cli.commands import logs
from fairlead.contracts.gateway import Role, cluster_name
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.local.log_files import GATEWAY, SUPERVISOR, name_of
from fairlead.local.state import StateFolder
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = {name: VersionSpec(source=f"/m/{name}") for name in ("1.0", "1.0.0", "1.0-rc1")}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The models iris and iris-2, which have the same versions. Each instance has ended once and failed a request."""
    folder = StateFolder(tmp_path)
    folder.create()
    ends, failures = [], []
    with SqliteStore(folder.ledger) as store:
        for model in ("iris", "iris-2"):
            spec = RouteSpec(model=model, versions=VERSIONS, target=Target(version="1.0"))
            store.put_route(model, spec, now=NOW, actor="ada")
            for version, one in VERSIONS.items():
                said = {"time": NOW.isoformat(), "said_of": f"{model} {version}"}
                ends.append(said | {"message": "ended", "source": name_of(model, one.ref(version), 0)})
                cluster = cluster_name(Role.SPLIT, "default", model, version)
                failures.append(said | {"status": 503, "route": f"{model}:split", "cluster": cluster})
    for name, lines in ((SUPERVISOR, ends), (GATEWAY, failures)):
        (folder.logs / f"{name}.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return tmp_path


def said_of(state: Path, capsys: pytest.CaptureFixture[str], version: str | None) -> list[str]:
    logs.command("iris", version=version, limit=100, state=state, as_json=True)
    return sorted(json.loads(line)["said_of"] for line in capsys.readouterr().out.splitlines())


def test_lines_of_a_model_whose_name_begins_with_this_one_are_not_shown(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said_of(state, capsys, None)
    assert shown == sorted(f"iris {version}" for version in VERSIONS for _ in (GATEWAY, SUPERVISOR))


@pytest.mark.parametrize("version", VERSIONS)
def test_lines_of_a_version_whose_name_begins_with_this_one_are_not_shown(
    state: Path, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert said_of(state, capsys, version) == [f"iris {version}"] * 2
