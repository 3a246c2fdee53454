from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.manifest import Artifact
from fairlead.serving.formats import artifact

ABC = hashlib.sha256(b"abc").hexdigest()


def in_folder(folder: Path, name: str, data: bytes = b"abc") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_checked_copy_holds_the_bytes_that_were_hashed_and_keeps_its_name(tmp_path: Path) -> None:
    in_folder(tmp_path, "artifact/model.bin")
    with artifact.checked(tmp_path, Artifact(path="artifact/model.bin", sha256=ABC)) as copy:
        assert (copy.read_bytes(), copy.name) == (b"abc", "model.bin")


def test_exchanging_the_file_after_the_check_changes_nothing(tmp_path: Path) -> None:
    path = in_folder(tmp_path, "model.bin")
    with artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)) as copy:
        path.write_bytes(b"evil")
        assert copy.read_bytes() == b"abc"


def test_only_this_user_can_enter_the_folder_of_the_copy(tmp_path: Path) -> None:
    in_folder(tmp_path, "model.bin")
    with artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)) as copy:
        assert copy.parent.stat().st_mode & 0o077 == 0


def test_a_forked_process_that_ends_leaves_the_copy_to_the_one_that_made_it(tmp_path: Path) -> None:
    in_folder(tmp_path, "model.bin")
    script = """
import os, sys
from pathlib import Path
from fairlead.contracts.manifest import Artifact
from fairlead.serving.formats import artifact

with artifact.shared(Path(sys.argv[1]), Artifact(path="model.bin", sha256=sys.argv[2])) as copy:
    if (child := os.fork()) == 0:
        sys.exit()
    os.waitpid(child, 0)
    print(copy.read_text(), copy.parent.stat().st_mode & 0o077)
print(copy.parent.exists())
"""
    command = [sys.executable, "-c", script, str(tmp_path), ABC]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["abc 0", "False"]


def test_the_copy_is_gone_afterwards(tmp_path: Path) -> None:
    in_folder(tmp_path, "model.bin")
    with artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)) as copy:
        pass
    assert not copy.exists()


def test_other_bytes_are_rejected_with_both_digests(tmp_path: Path) -> None:
    in_folder(tmp_path, "model.bin", b"xyz")
    with (
        pytest.raises(errors.ArtifactRejected) as caught,
        artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)),
    ):
        pytest.fail("was handed on")
    assert ABC in caught.value.message
    assert hashlib.sha256(b"xyz").hexdigest() in caught.value.message


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    in_folder(tmp_path, "data/real.bin")
    (tmp_path / "model.bin").symlink_to("data/real.bin")
    with artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)) as copy:
        assert copy.read_bytes() == b"abc"


def test_a_link_out_of_the_folder_is_rejected_even_if_the_digest_matches(tmp_path: Path) -> None:
    in_folder(tmp_path, "outside.bin")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.bin").symlink_to("../outside.bin")
    with (
        pytest.raises(errors.Invalid, match="is outside the model folder"),
        artifact.checked(folder, Artifact(path="model.bin", sha256=ABC)),
    ):
        pytest.fail("was handed on")


def test_a_linked_folder_that_points_outside_is_rejected(tmp_path: Path) -> None:
    in_folder(tmp_path, "elsewhere/model.bin")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "artifact").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.Invalid, match="is outside"):
        artifact.inside(folder, "artifact/model.bin", field="artifact.path")


def test_a_missing_artifact_is_named_with_its_field(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"artifact\.path: there is no 'model\.bin'"):
        artifact.inside(tmp_path, "model.bin", field="artifact.path")


def test_a_named_pipe_is_not_an_artifact(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.bin")
    with pytest.raises(errors.Invalid, match="there is no"):
        artifact.inside(tmp_path, "model.bin", field="artifact.path")


def test_a_folder_artifact_is_copied_completely_and_checked_by_its_tree_digest(tmp_path: Path) -> None:
    in_folder(tmp_path, "artifact/weights.bin")
    in_folder(tmp_path, "artifact/deep/vocabulary.txt", b"words")
    stated = artifact.digest_of(tmp_path / "artifact")
    with artifact.checked(tmp_path, Artifact(path="artifact", sha256=stated)) as copy:
        assert (copy / "deep" / "vocabulary.txt").read_bytes() == b"words"


def test_a_file_added_to_a_folder_artifact_changes_the_digest(tmp_path: Path) -> None:
    in_folder(tmp_path, "artifact/weights.bin")
    stated = artifact.digest_of(tmp_path / "artifact")
    in_folder(tmp_path, "artifact/extra.bin")
    with pytest.raises(errors.ArtifactRejected), artifact.checked(tmp_path, Artifact(path="artifact", sha256=stated)):
        pytest.fail("was handed on")


def test_a_folder_artifact_must_not_hold_links(tmp_path: Path) -> None:
    in_folder(tmp_path, "artifact/weights.bin")
    (tmp_path / "artifact" / "more.bin").symlink_to("weights.bin")
    with pytest.raises(errors.Invalid, match=r"'more\.bin' in artifact is not a plain file"):
        artifact.digest_of(tmp_path / "artifact")


def in_a_shell(folder: Path) -> str:
    """The digest of a folder, as the pages say to compute it."""
    command = "find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_a_whole_folder_is_compared_with_the_digest_that_a_shell_computes(tmp_path: Path) -> None:
    for name in (
        "fairlead.yaml",
        "artifact/deep/model.bin",
        "artifact.bin",
        "a b/Z",
        "__pycache__/model.cpython-311.pyc",
    ):
        in_folder(tmp_path, name, name.encode())
    artifact.check_folder(tmp_path, in_a_shell(tmp_path))


@pytest.mark.parametrize("changed", ["model.py", "__pycache__/model.cpython-311.pyc", "more/extra.bin"])
def test_a_file_that_is_changed_or_added_anywhere_is_another_folder(tmp_path: Path, changed: str) -> None:
    for name in ("fairlead.yaml", "model.py", "__pycache__/model.cpython-311.pyc"):
        in_folder(tmp_path, name)
    stated = in_a_shell(tmp_path)
    in_folder(tmp_path, changed, b"other")
    with pytest.raises(errors.ArtifactRejected, match=f"its digest is {in_a_shell(tmp_path)}, not {stated}"):
        artifact.check_folder(tmp_path, stated)


def test_a_folder_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(errors.NotReady, match="cannot be read"):
        artifact.check_folder(tmp_path / "absent", ABC)


def test_without_a_temporary_folder_the_error_says_what_to_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(tmp_path, "model.bin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with (
        pytest.raises(errors.Unavailable) as caught,
        artifact.checked(tmp_path, Artifact(path="model.bin", sha256=ABC)),
    ):
        pytest.fail("was handed on")
    assert "TMPDIR" in (caught.value.hint or "")


def test_a_path_that_is_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(errors.Invalid, match="there is no 'loop'"):
        artifact.inside(tmp_path, "loop", field="artifact.path")
