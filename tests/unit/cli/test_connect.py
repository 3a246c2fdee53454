from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli import cluster
from fairlead.cli.connect import connect
from fairlead.cli.options import PlatformLocation
from fairlead.contracts.route import RouteSpec, VersionSpec
from fairlead.store.sqlite import SqliteStore


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the model iris, which has version 1."""
    store = SqliteStore(tmp_path / "ledger.db")
    spec = RouteSpec(model="iris", target={"version": "1"}, versions={"1": VersionSpec(source="a")})
    store.put_route("iris", spec, now=datetime(2026, 1, 1, tzinfo=UTC), actor="ada", reason="", expected=0)
    return tmp_path


def hint_of(location: PlatformLocation) -> str:
    with pytest.raises(errors.NotFound, match="iris has no version '2'; it has 1") as caught:
        connect(location).retarget("iris", "2", "")
    return caught.value.hint or ""


def test_an_unknown_version_is_added_by_deploy_on_a_laptop(state: Path) -> None:
    assert hint_of(PlatformLocation(state, None, None)) == "check the spelling, or add it first: fairlead deploy DIR"


def test_an_unknown_version_is_added_to_the_values_in_a_cluster(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "open_store", lambda context, namespace: SqliteStore(state / "ledger.db"))
    hint = hint_of(PlatformLocation(state, None, "models"))
    assert "below `versions` in the model's Helm values" in hint
    assert "deploy" not in hint
