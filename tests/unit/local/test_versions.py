"""A version is served from a copy of its folder, which nothing changes."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.instance import Wanted
from fairlead.contracts.route import VersionSpec
from fairlead.local import folders, versions
from fairlead.local.apply import deploy
from fairlead.local.folders import differences, digests, files_of, version_spec
from fairlead.local.versions import VersionCopies, damage
from fairlead.store.sqlite import SqliteStore
from unit.local.test_apply import make_folder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.text(alphabet="abcXYZ0._-é", min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and not name.endswith((".swp", "~"))
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_folder(tmp_path / "source", "1.0.0")
    (made / "model.py").write_text("FACTOR = 1\n")
    return made


@pytest.fixture
def copies(tmp_path: Path) -> VersionCopies:
    return VersionCopies(tmp_path / "versions")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "ledger.db")


def keep(copies: VersionCopies, folder: Path) -> VersionSpec:
    with copies.locked():
        return copies.keep(*version_spec(folder))


def left(copies: VersionCopies) -> list[Path]:
    return [path for path in copies._root.rglob("*") if path.is_file() and path.name != "lock"]


def test_a_copy_holds_the_files_of_its_folder_and_is_named_by_their_digest(folder: Path, copies: VersionCopies) -> None:
    kept = keep(copies, folder)
    copy = Path(kept.source or "")
    assert copy.name == f"1.0.0-{kept.folder[:12]}"
    assert (copy / "model.py").read_text() == "FACTOR = 1\n"
    assert damage(copy, kept.folder) == ""


def test_the_digest_of_a_copy_is_that_of_the_documented_shell_line(folder: Path, copies: VersionCopies) -> None:
    (folder / "nested").mkdir()
    (folder / "nested" / "words é.txt").write_text("x")
    kept = keep(copies, folder)
    line = "find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    printed = subprocess.run(["bash", "-c", line], cwd=kept.source, capture_output=True, text=True, check=True).stdout
    assert printed.split()[0] == kept.folder


@given(files=st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5), data=st.data())
def test_any_change_of_a_folder_changes_its_digest(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], data: st.DataObject
) -> None:
    folder = make_folder(tmp_path_factory.mktemp("any"), "1.0.0")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    _, before = version_spec(folder)
    was = digests(folder)
    name = data.draw(st.sampled_from(sorted(files)))
    (folder / name).write_bytes(data.draw(st.binary(max_size=20).filter(lambda content: content != files[name])))
    assert version_spec(folder)[1].folder != before.folder
    assert differences(was, digests(folder)) == f"{name} was changed"


def test_neither_an_edit_nor_a_deletion_of_the_folder_changes_the_copy(folder: Path, copies: VersionCopies) -> None:
    kept = keep(copies, folder)
    (folder / "model.py").write_text("FACTOR = 10\n")
    assert damage(Path(kept.source or ""), kept.folder) == ""
    shutil.rmtree(folder)
    assert damage(Path(kept.source or ""), kept.folder) == ""


def test_the_files_of_a_copy_are_read_only_and_can_be_deleted_by_their_owner(
    folder: Path, copies: VersionCopies
) -> None:
    (folder / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "tool.sh").chmod(0o755)
    copy = Path(keep(copies, folder).source or "")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (copy, *copy.rglob("*"))}
    assert modes.pop(copy.name) == 0o700
    assert modes == {"fairlead.yaml": 0o400, "model.py": 0o400, "tool.sh": 0o500}


def test_a_version_is_copied_once(folder: Path, copies: VersionCopies) -> None:
    first = Path(keep(copies, folder).source or "").stat().st_ino
    assert Path(keep(copies, folder).source or "").stat().st_ino == first


def test_deploying_the_folder_again_replaces_a_damaged_copy(folder: Path, copies: VersionCopies) -> None:
    kept = keep(copies, folder)
    model = Path(kept.source or "") / "model.py"
    model.chmod(0o600)
    model.write_text("FACTOR = 10\n")
    assert damage(model.parent, kept.folder) == "was changed"
    assert keep(copies, folder) == kept
    assert damage(model.parent, kept.folder) == ""


@pytest.mark.parametrize(
    "name",
    [
        *("__pycache__/model.pyc", ".ruff_cache/a", ".git/HEAD", ".ipynb_checkpoints/a", ".model.py.swp", "a~"),
        ".fairlead/ledger.db",
    ],
)
def test_what_tools_write_beside_a_model_is_neither_hashed_nor_copied(
    folder: Path, copies: VersionCopies, name: str
) -> None:
    before = keep(copies, folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("anything")
    assert keep(copies, folder) == before
    assert not (Path(before.source or "") / name).exists()


def test_a_link_inside_the_folder_becomes_the_file(folder: Path, copies: VersionCopies) -> None:
    (folder / "current.py").symlink_to("model.py")
    copy = Path(keep(copies, folder).source or "") / "current.py"
    assert (copy.is_symlink(), copy.read_text()) == (False, "FACTOR = 1\n")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.symlink_to("/etc/hostname"), "is a link that leads out of the folder"),
        (lambda path: path.symlink_to(path.parent), "is a link that leads to no file"),
        (lambda path: path.symlink_to("nowhere"), "is a link that leads to no file"),
        (os.mkfifo, "is neither a file nor a folder"),
    ],
)
def test_what_a_copy_could_not_hold_is_refused(folder: Path, make: object, why: str) -> None:
    make(folder / "odd")  # type: ignore[operator]
    with pytest.raises(errors.Invalid, match=f"cannot be deployed: 'odd' {why}"):
        files_of(folder)


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "a\x1b[2Jb"])
def test_a_name_that_cannot_be_listed_is_refused_and_shown(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(errors.Invalid, match="cannot be printed") as caught:
        files_of(folder)
    assert caught.value.message.isprintable()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to write more than `size` bytes to a file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_copy_that_fails_half_way_leaves_nothing(folder: Path, copies: VersionCopies) -> None:
    (folder / "model.joblib").write_bytes(bytes(100_000))
    with (
        largest_file(50_000),
        pytest.raises(errors.Unavailable, match=r"iris 1.0.0 cannot be copied into .*: File too"),
    ):
        keep(copies, folder)
    assert left(copies) == []
    assert keep(copies, folder).source is not None


def test_a_full_disk_is_named_with_both_sizes_before_anything_is_copied(
    folder: Path, copies: VersionCopies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "SPARE_BYTES", 10**18)
    with pytest.raises(errors.Unavailable, match=r"no room .*: iris 1.0.0 has \d+ bytes, and .* GB are free") as caught:
        keep(copies, folder)
    assert "choose another state folder" in (caught.value.hint or "")
    assert left(copies) == []


def test_a_folder_that_is_changed_while_it_is_copied_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "z.txt").write_text("before")

    def edit(name: str, done: int, total: int) -> None:
        (folder / "z.txt").write_text("after")

    copies = VersionCopies(tmp_path / "versions", edit)
    with pytest.raises(errors.Conflict, match="was changed while it was copied"):
        keep(copies, folder)
    assert left(copies) == []


def test_the_progress_ends_at_the_size_of_the_folder(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    (folder / "model.joblib").write_bytes(bytes(3 * folders.CHUNK_BYTES))
    copies = VersionCopies(tmp_path / "versions", lambda *one: seen.append(one))
    keep(copies, folder)
    size = sum(path.stat().st_size for path in files_of(folder).values())
    assert seen[-1] == ("iris 1.0.0", size, size)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.mark.parametrize("is_moved", [False, True], ids=["link", "moved"])
def test_copies_in_use_stay_also_if_the_state_folder_is_named_by_another_path(
    tmp_path: Path, copies: VersionCopies, store: SqliteStore, is_moved: bool
) -> None:
    deploy(store, make_folder(tmp_path, "1.0.0"), copies, now=NOW, actor="a", reason="")
    other = tmp_path / "other"
    if is_moved:
        copies._root.rename(other)
    else:
        other.symlink_to(copies._root)
    assert VersionCopies(other).remove_unused(store) == []
    assert left(VersionCopies(other))


def test_only_copies_that_no_route_and_no_instance_names_are_removed(
    tmp_path: Path, copies: VersionCopies, store: SqliteStore
) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        deploy(store, make_folder(tmp_path, version), copies, now=NOW, actor="a", reason="")
    route = store.route("iris")
    names = {version: f"iris/{Path(spec.source or '').name}" for version, spec in route.spec.versions.items()}
    ref = route.spec.versions["1.1.0"].ref("1.1.0")
    store.want([Wanted(model="iris", ref=ref, index=0, source=route.spec.versions["1.1.0"].source or "")])
    fewer = {"1.0.0": route.spec.versions["1.0.0"]}
    store.put_route("iris", route.spec.model_copy(update={"versions": fewer}), now=NOW, actor="a")
    assert copies.remove_unused(store) == [names["1.2.0"]]
    store.want([])
    store.delete_route("iris")
    assert copies.remove_unused(store) == sorted([names["1.0.0"], names["1.1.0"]])
    assert left(copies) == []


def test_a_link_that_leads_to_itself_is_refused_by_its_name(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    with pytest.raises(errors.Invalid, match="'loop' is a link that leads to no file"):
        files_of(folder)
