"""requirements.txt of a model folder: what of it this environment lacks."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts import requirements

NUMPY = importlib.metadata.version("numpy")


def unmet(folder: Path, text: str) -> list[str]:
    (folder / "requirements.txt").write_text(text)
    return requirements.unmet(folder)


def test_a_folder_without_the_file_asks_for_nothing(tmp_path: Path) -> None:
    assert requirements.unmet(tmp_path) == []


@pytest.mark.parametrize("line", ["no-such-library", "No_Such.Library>=2", "no-such-library[fast] == 1.0  # why"])
def test_a_library_that_is_not_installed_is_named_as_it_was_asked_for(tmp_path: Path, line: str) -> None:
    asked = line.split("  #")[0]
    assert unmet(tmp_path, f"numpy\n{line}\n") == [f"requirements.txt asks for {asked}, which is not installed"]


def test_a_library_that_is_pinned_to_another_version_is_named_with_both(tmp_path: Path) -> None:
    assert unmet(tmp_path, "numpy==0.1") == [f"requirements.txt asks for numpy==0.1, but {NUMPY} is installed"]


@pytest.mark.parametrize(
    "text",
    [
        f"numpy=={NUMPY}",
        f"NumPy=={NUMPY}.0",
        f"numpy=={NUMPY} \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n",
        "numpy>=0.1,<99",
        "numpy==0.*",
        "# numpy==0.1",
        "\n  \n",
    ],
)
def test_a_library_that_fits_or_that_only_an_installer_can_judge_is_not_named(tmp_path: Path, text: str) -> None:
    assert unmet(tmp_path, text) == []


@pytest.mark.parametrize(
    "line",
    [
        "no-such-library; python_version < '3'",
        "-r other.txt",
        "--index-url https://example.com/simple",
        "https://example.com/library-1.0-py3-none-any.whl",
        "git+https://example.com/library.git",
        "./library-1.0-py3-none-any.whl",
    ],
)
def test_markers_options_and_addresses_are_left_to_the_installer(tmp_path: Path, line: str) -> None:
    assert unmet(tmp_path, line) == []


@given(st.text(max_size=60))
def test_no_text_ends_in_an_error(text: str) -> None:
    assert all(isinstance(sentence, str) for sentence in requirements._unmet(text))


def test_the_command_installs_into_the_environment_of_this_process(tmp_path: Path) -> None:
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "requirements.txt").write_text("numpy\n")
    command = requirements.install_command(folder)
    assert command.startswith(sys.executable)
    done = subprocess.run(
        f"{command} --quiet --no-index --no-deps --dry-run", shell=True, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
