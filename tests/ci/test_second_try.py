"""A test that fails gets a second try, alone: planted tests in a copy of the repository.

Two tests run the whole `ci/test`. The others run the functions of `ci/parts.sh` on a folder of planted tests, which is
quicker.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from docs.working_copy import WorkingCopy

ROOT = Path(__file__).resolve().parents[2]

PASSES = """
def test_that_passes() -> None:
    assert True
"""
FAILS_EVERY_OTHER_RUN = """
from pathlib import Path

def test_that_is_flaky() -> None:
    ran_before = Path(__file__).with_suffix(".ran")
    if not ran_before.exists():
        ran_before.touch()
        raise AssertionError("the first run")
    ran_before.unlink()
"""
IS_BROKEN = """
def test_that_is_broken() -> None:
    assert 1 == 2
"""
MANY_FAIL_ONCE = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(4))
def test_one_of_many(number: int) -> None:
    ran_before = Path(__file__).with_suffix(f".{number}")
    seen = ran_before.exists()
    ran_before.touch()
    assert seen
"""
ENDS_THE_PROCESS = """
import os

def test_that_crashes() -> None:
    os._exit(0)
"""
CANNOT_BE_IMPORTED = "import no_such_module\n"
FIXTURE_FAILS_ONCE = """
from pathlib import Path
import pytest

@pytest.fixture
def machine() -> None:
    ran_before = Path(__file__).with_suffix(".ran")
    seen = ran_before.exists()
    ran_before.touch()
    assert seen

def test_with_a_machine(machine: None) -> None:
    assert True
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> WorkingCopy:
    """A copy of the repository that has been set up."""
    return WorkingCopy(ROOT, tmp_path_factory.mktemp("copy") / "fairlead")


def ci_test(copy: WorkingCopy, name: str, **planted: str) -> subprocess.CompletedProcess[str]:
    """`ci/test` on a folder with these test files; files are named after the argument."""
    folder = copy.folder / "tests" / "planted" / name
    folder.mkdir(parents=True)
    for module, text in planted.items():
        (folder / f"test_{module}.py").write_text(text)
    return subprocess.run(
        ["ci/test", f"tests/planted/{name}"],
        cwd=copy.folder,
        env=dict(copy.environment()),
        capture_output=True,
        text=True,
        check=False,
    )


def in_parts(copy: WorkingCopy, name: str, **planted: str) -> subprocess.CompletedProcess[str]:
    """A script of one part, sourced from ci/parts.sh as `ci/test` does it."""
    folder = copy.folder / name
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    for module, text in planted.items():
        (folder / f"test_{module}.py").write_text(text)
    pytest_here = f".venv/bin/python -m pytest -p no:hypothesispytest --rootdir {copy.folder} -c {folder}/pytest.ini"
    script = f'set -euo pipefail; source ci/parts.sh; tests "planted" {pytest_here} {folder}; second_try {pytest_here}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=copy.folder,
        env=dict(copy.environment()),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_fails_every_other_run_passes_and_is_named_with_both_durations(copy: WorkingCopy) -> None:
    done = ci_test(copy, "flaky", passes=PASSES, flaky=FAILS_EVERY_OTHER_RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stderr[done.stderr.index("Tests that failed at their first try") :]
    row = next(line for line in table.splitlines() if "test_that_is_flaky" in line)
    assert (row.count(" s "), "passed" in row) == (2, True)
    assert "test_that_passes" not in table


def test_a_broken_test_fails_and_is_named(copy: WorkingCopy) -> None:
    done = ci_test(copy, "broken", passes=PASSES, broken=IS_BROKEN)
    assert done.returncode == 1
    assert "failed again" in next(line for line in done.stderr.splitlines() if "│" in line and "broken" in line)


def test_a_flaky_test_does_not_hide_a_broken_one(copy: WorkingCopy) -> None:
    done = in_parts(copy, "both", flaky=FAILS_EVERY_OTHER_RUN, broken=IS_BROKEN)
    assert done.returncode == 1


def test_a_fixture_that_fails_once_gets_a_second_try(copy: WorkingCopy) -> None:
    done = in_parts(copy, "fixture", fixture=FIXTURE_FAILS_ONCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_more_than_three_failed_tests_are_not_tried_again(copy: WorkingCopy) -> None:
    done = in_parts(copy, "many", many=MANY_FAIL_ONCE)
    assert done.returncode == 1
    assert "4 tests failed; at most 3 are tried again" in done.stderr


def test_a_test_that_is_listed_as_flaky_gets_no_second_try(copy: WorkingCopy) -> None:
    page = copy.folder / "tests/flaky.md"
    before = page.read_text()
    page.write_text(before + "| `listed/test_flaky.py::test_that_is_flaky` | 2026-01-01 | planted |\n")
    try:
        done = in_parts(copy, "listed", flaky=FAILS_EVERY_OTHER_RUN)
    finally:
        page.write_text(before)
    assert done.returncode == 1
    assert "needed a second try before" in done.stderr


@pytest.mark.parametrize(("name", "text"), [("crash", ENDS_THE_PROCESS), ("collect", CANNOT_BE_IMPORTED)])
def test_a_run_that_does_not_come_to_its_end_fails(copy: WorkingCopy, name: str, text: str) -> None:
    assert in_parts(copy, name, passes=PASSES, ends=text).returncode == 1
