import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fairlead import errors
from fairlead.contracts.platform import LocalModel, LocalVersion, Platform
from fairlead.contracts.revision import Cause, Revision, State
from fairlead.contracts.route import Route, RouteSpec, Target, VersionSpec
from fairlead.contracts.table import Table
from fairlead.local.apply import APPLIED_TARGET, apply, deploy, read_platform
from fairlead.local.versions import VersionCopies
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "ledger.db")


def copies(tmp_path: Path) -> VersionCopies:
    return VersionCopies(tmp_path / "versions")


def make_folder(base: Path, version: str, *, name: str = "iris", digest: str = "ab" * 32) -> Path:
    folder = base / name / version
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": name,
        "version": version,
        "format": "joblib",
        "artifact": {"path": "model.joblib", "sha256": digest},
        "inputs": [{"name": "x", "datatype": "FP64"}],
        "outputs": [{"name": "y", "datatype": "FP64"}],
    }
    (folder / "fairlead.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def platform(target: str, *versions: str) -> Platform:
    sources = {version: LocalVersion(source=f"iris/{version}") for version in versions}
    return Platform(models={"iris": LocalModel(versions=sources, target=target)})


def test_a_file_becomes_routes_with_copied_folders_and_digests(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    version = route.spec.versions["1.0.0"]
    assert version.source == str(tmp_path / "versions/iris" / f"1.0.0-{version.folder[:12]}")
    assert version.artifact == "ab" * 32


def test_applying_the_same_file_again_changes_nothing(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    first = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test") == first


def test_starting_again_does_not_undo_a_release(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    make_folder(tmp_path, "1.1.0")
    (route,) = apply(store, platform("1.0.0", "1.0.0", "1.1.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    released = route.spec.model_copy(update={"target": route.spec.target.model_copy(update={"version": "1.1.0"})})
    store.put_route("iris", released, now=NOW, actor="somebody", annotations=route.annotations)
    (again,) = apply(store, platform("1.0.0", "1.0.0", "1.1.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert again.spec.target.version == "1.1.0"


def test_a_target_changed_in_the_file_is_a_release(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    make_folder(tmp_path, "1.1.0")
    apply(store, platform("1.0.0", "1.0.0", "1.1.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    (route,) = apply(store, platform("1.1.0", "1.0.0", "1.1.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert route.spec.target.version == "1.1.0"


def test_a_version_deployed_and_released_by_command_survives_a_start(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    route = deploy(store, make_folder(tmp_path, "2.0.0"), copies(tmp_path), instances=1, now=NOW, actor="a", reason="")
    released = route.spec.model_copy(update={"target": route.spec.target.model_copy(update={"version": "2.0.0"})})
    store.put_route("iris", released, now=NOW, actor="a", annotations=route.annotations)
    (again,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert set(again.spec.versions) == {"1.0.0", "2.0.0"}
    assert again.spec.target.version == "2.0.0"


def test_a_version_deployed_by_command_survives_a_start_also_when_it_is_not_the_target(
    tmp_path: Path, store: SqliteStore
) -> None:
    make_folder(tmp_path, "1.0.0")
    apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    deploy(store, make_folder(tmp_path, "2.0.0"), copies(tmp_path), instances=3, now=NOW, actor="a", reason="")
    for _ in range(2):
        (again,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
        assert set(again.spec.versions) == {"1.0.0", "2.0.0"}
        assert again.spec.versions["2.0.0"].instances == 3


def test_a_version_that_leaves_the_file_is_removed_unless_it_is_the_target(tmp_path: Path, store: SqliteStore) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        make_folder(tmp_path, version)
    (route,) = apply(
        store, platform("1.0.0", "1.0.0", "1.1.0", "1.2.0"), tmp_path, copies(tmp_path), now=NOW, actor="test"
    )
    released = route.spec.model_copy(update={"target": route.spec.target.model_copy(update={"version": "1.2.0"})})
    store.put_route("iris", released, now=NOW, actor="somebody", annotations=route.annotations)
    (again,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert set(again.spec.versions) == {"1.0.0", "1.2.0"}


def test_versions_of_a_route_that_an_older_fairlead_wrote_are_kept(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    route = deploy(store, make_folder(tmp_path, "2.0.0"), copies(tmp_path), instances=1, now=NOW, actor="a", reason="")
    store.put_route("iris", route.spec, now=NOW, actor="a", annotations={APPLIED_TARGET: "1.0.0"})
    (again,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert set(again.spec.versions) == {"1.0.0", "2.0.0"}


def test_the_first_version_of_a_model_is_its_target(tmp_path: Path, store: SqliteStore) -> None:
    route = deploy(store, make_folder(tmp_path, "1.0.0"), copies(tmp_path), instances=2, now=NOW, actor="a", reason="")
    assert route.spec.target.version == "1.0.0"
    assert route.spec.versions["1.0.0"].instances == 2


def test_deploying_again_keeps_the_number_of_instances_unless_one_is_given(tmp_path: Path, store: SqliteStore) -> None:
    folder = make_folder(tmp_path, "1.0.0")
    counts = [
        deploy(store, folder, copies(tmp_path), instances=given, now=NOW, actor="a", reason="")
        .spec.versions["1.0.0"]
        .instances
        for given in (None, 2, None, 1)
    ]
    assert counts == [1, 2, 2, 1]


def test_deploying_another_artifact_under_the_same_version_is_refused_with_both_digests(
    tmp_path: Path, store: SqliteStore
) -> None:
    deploy(store, make_folder(tmp_path, "1.0.0"), copies(tmp_path), instances=1, now=NOW, actor="a", reason="")
    changed = make_folder(tmp_path, "1.0.0", digest="cd" * 32)
    with pytest.raises(errors.Conflict, match=f"{'cd' * 32}, not {'ab' * 32}"):
        deploy(store, changed, copies(tmp_path), instances=1, now=NOW, actor="a", reason="")


def test_deploying_the_same_content_from_another_folder_changes_nothing(tmp_path: Path, store: SqliteStore) -> None:
    first, other = make_folder(tmp_path / "a", "1.0.0"), make_folder(tmp_path / "b", "1.0.0")
    route = deploy(store, first, copies(tmp_path), instances=1, now=NOW, actor="a", reason="")
    assert deploy(store, other, copies(tmp_path), instances=1, now=NOW, actor="a", reason="").spec == route.spec


def change(folder: Path) -> None:
    """What an author does between two deployments."""
    (folder / "model.py").write_text("FACTOR = 10\n")
    (folder / "notes.txt").write_text("")
    (folder / "features.py").unlink()


def with_code(folder: Path) -> Path:
    (folder / "model.py").write_text("FACTOR = 1\n")
    (folder / "features.py").write_text("")
    return folder


DIFFERENCES = "model.py was changed, notes.txt was added, features.py is gone"


def test_deploying_other_code_under_the_same_version_is_refused_and_names_the_files(
    tmp_path: Path, store: SqliteStore
) -> None:
    folder = with_code(make_folder(tmp_path, "1.0.0"))
    route = deploy(store, folder, copies(tmp_path), instances=1, now=NOW, actor="a", reason="")
    change(folder)
    with pytest.raises(errors.Conflict, match=f"is not what was deployed as iris 1.0.0: {DIFFERENCES}") as caught:
        deploy(store, folder, copies(tmp_path), instances=2, now=NOW, actor="a", reason="")
    assert "give the new content a new version" in (caught.value.hint or "")
    assert store.route("iris") == route


def test_starting_with_other_code_in_a_folder_is_refused_whether_or_not_the_version_serves(
    tmp_path: Path, store: SqliteStore
) -> None:
    folder = with_code(make_folder(tmp_path, "1.0.0"))
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    change(folder)
    for _ in range(2):
        with pytest.raises(errors.Conflict, match=f"models.iris.versions.1.0.0: .*{DIFFERENCES}"):
            apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
        assert store.route("iris") == route
        if store.head("iris") is None:
            serve(store, route)


def test_a_file_that_names_another_folder_for_a_version_is_refused_unless_the_content_is_the_same(
    tmp_path: Path, store: SqliteStore
) -> None:
    make_folder(tmp_path / "old", "1.0.0")
    same, other = make_folder(tmp_path / "same", "1.0.0"), make_folder(tmp_path / "new", "1.0.0", digest="cd" * 32)
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path / "old", copies(tmp_path), now=NOW, actor="test")
    again = apply(store, platform("1.0.0", "1.0.0"), same.parents[1], copies(tmp_path), now=NOW, actor="test")
    assert again == [route]
    with pytest.raises(errors.Conflict, match="fairlead.yaml was changed"):
        apply(store, platform("1.0.0", "1.0.0"), other.parents[1], copies(tmp_path), now=NOW, actor="test")


def test_a_version_starts_again_after_its_folder_was_deleted(tmp_path: Path, store: SqliteStore) -> None:
    folder = make_folder(tmp_path, "1.0.0")
    (route,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    shutil.rmtree(folder)
    assert apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test") == [route]


def test_a_removed_model_can_be_deployed_with_other_content(tmp_path: Path, store: SqliteStore) -> None:
    folder = with_code(make_folder(tmp_path, "1.0.0"))
    before = deploy(store, folder, copies(tmp_path), now=NOW, actor="a", reason="")
    store.delete_route("iris")
    change(folder)
    after = deploy(store, folder, copies(tmp_path), now=NOW, actor="a", reason="")
    assert after.spec.target_ref.identity != before.spec.target_ref.identity


def of_an_earlier_fairlead(store: SqliteStore, folder: Path, digest: str = "ab" * 32) -> Route:
    version = VersionSpec(source=str(folder), artifact=digest)
    spec = RouteSpec(model="iris", versions={"1.0.0": version}, target=Target(version="1.0.0"))
    return store.put_route("iris", spec, now=NOW, actor="a")


def test_a_version_of_an_earlier_fairlead_keeps_its_identity_and_its_folder(tmp_path: Path, store: SqliteStore) -> None:
    folder = make_folder(tmp_path, "1.0.0")
    route = of_an_earlier_fairlead(store, folder)
    (again,) = apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")
    assert again.spec.versions == route.spec.versions
    deployed = deploy(store, folder, copies(tmp_path), now=NOW, actor="a", reason="")
    assert deployed.spec.versions == route.spec.versions


def test_a_version_of_an_earlier_fairlead_is_refused_from_another_folder_unless_it_was_moved(
    tmp_path: Path, store: SqliteStore
) -> None:
    first, other = make_folder(tmp_path / "a", "1.0.0"), make_folder(tmp_path / "b", "1.0.0")
    of_an_earlier_fairlead(store, first)
    with pytest.raises(errors.Conflict, match=f"it was deployed from {first}"):
        deploy(store, other, copies(tmp_path), now=NOW, actor="a", reason="")
    first.rename(tmp_path / "moved")
    route = deploy(store, other, copies(tmp_path), now=NOW, actor="a", reason="")
    assert route.spec.versions["1.0.0"] == VersionSpec(source=str(other), artifact="ab" * 32)


def serve(store: SqliteStore, route: Route) -> None:
    """The target serves, as after the control plane's first revision."""
    ref = route.spec.target_ref
    first = Revision(
        route=route.name,
        seq=1,
        cause=Cause.CREATED,
        generation=1,
        table=Table(model=route.name, stable=ref, pins=(ref,)),
        state=State(target=ref, entered_at=NOW),
        created_at=NOW,
    )
    store.append(first)


def test_a_model_whose_stored_route_cannot_be_read_is_left_alone(tmp_path: Path, store: SqliteStore) -> None:
    for name in ("iris", "wine"):
        make_folder(tmp_path, "1.0.0", name=name)
    both = {
        name: LocalModel(versions={"1.0.0": LocalVersion(source=f"{name}/1.0.0")}, target="1.0.0")
        for name in ("iris", "wine")
    }
    apply(store, Platform(models=both), tmp_path, copies(tmp_path), now=NOW, actor="test")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE routes SET document = '{}' WHERE name = 'wine'")
    with SqliteStore(tmp_path / "ledger.db") as fresh:
        applied = apply(fresh, Platform(models=both), tmp_path, copies(tmp_path), now=NOW, actor="test")
        assert [route.name for route in applied] == ["iris"]
        assert [one.name for one in fresh.unreadable_routes()] == ["wine"]


def test_a_folder_that_holds_another_version_than_the_file_says_is_refused(tmp_path: Path, store: SqliteStore) -> None:
    make_folder(tmp_path, "1.0.0")
    wrong = Platform(models={"iris": LocalModel(versions={"9.9.9": LocalVersion(source="iris/1.0.0")}, target="9.9.9")})
    with pytest.raises(errors.Invalid, match="holds iris 1.0.0"):
        apply(store, wrong, tmp_path, copies(tmp_path), now=NOW, actor="test")


def test_a_missing_folder_is_named(tmp_path: Path, store: SqliteStore) -> None:
    with pytest.raises(errors.NotFound, match="there is no folder .*iris/1.0.0"):
        apply(store, platform("1.0.0", "1.0.0"), tmp_path, copies(tmp_path), now=NOW, actor="test")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("gateway: {port: 99999}", "gateway.port"),
        ("gatway: {}", "gatway"),
        ("models: {iris: {target: 1.0.0, versions: {}}}", "models.iris.versions"),
        ("models: {Iris: {target: 1.0.0, versions: {1.0.0: {source: x}}}}", "models.Iris"),
    ],
)
def test_a_wrong_platform_file_names_the_field(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(text)
    with pytest.raises(errors.Invalid) as caught:
        read_platform(file)
    assert any(".".join(map(str, detail.loc)).startswith(field) for detail in caught.value.details)


@pytest.mark.parametrize("text", ["- a list", "{unclosed", "\x00"])
def test_a_platform_file_that_is_not_a_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "platform.yaml"
    file.write_text(text)
    with pytest.raises(errors.Invalid, match=r"platform\.yaml"):
        read_platform(file)


def test_the_file_of_clients_is_found_beside_the_platform_file_and_checked_before_anything_starts(
    tmp_path: Path,
) -> None:
    file, clients = tmp_path / "platform.yaml", tmp_path / "access.yaml"
    file.write_text("gateway: {auth: {file: access.yaml}}")
    with pytest.raises(errors.Invalid, match=r"access\.yaml, which says who may call, cannot be read"):
        read_platform(file)
    clients.write_text("clients: {shop: {}}")
    clients.chmod(0o644)
    with pytest.raises(errors.Invalid, match="other users may open it"):
        read_platform(file)
    clients.chmod(0o600)
    auth = read_platform(file).gateway.auth
    assert auth is not None
    assert auth.file == str(clients)
