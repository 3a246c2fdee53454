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
SHARED_FIXTURE_FAILS_ONCE = """
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def machine() -> None:
    ran_before = Path(__file__).with_suffix(".ran")
    seen = ran_before.exists()
    ran_before.touch()
    assert seen

@pytest.mark.parametrize("number", range(6))
def test_with_a_machine(machine: None, number: int) -> None:
    assert True
"""
SKIPS_THE_SECOND_TIME = """
from pathlib import Path
import pytest

def test_that_skips() -> None:
    ran_before = Path(__file__).with_suffix(".ran")
    if ran_before.exists():
        pytest.skip("the port is taken")
    ran_before.touch()
    raise AssertionError("the first run")
"""
TEARDOWN_FAILS = """
from collections.abc import Iterator
import pytest

@pytest.fixture(scope="module")
def machine() -> Iterator[None]:
    yield
    raise AssertionError("it does not stop")

def test_with_a_machine(machine: None) -> None:
    assert True

def test_of_something_else() -> None:
    assert True
"""
FAILS_AFTER_ITS_LAST_TEST = """
import atexit
import os

def test_that_passes() -> None:
    atexit.register(os._exit, 1)
"""
WITH_BRACKETS = FAILS_EVERY_OTHER_RUN.replace(
    "def test_that_is_flaky() -> None:",
    '@__import__("pytest").mark.parametrize("path", ["/livez"])\ndef test_that_is_flaky(path: str) -> None:',
)
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


def ci_test(copy: WorkingCopy, name: str, *options: str, **planted: str) -> subprocess.CompletedProcess[str]:
    """`ci/test` on a folder with these test files; files are named after the argument."""
    folder = copy.folder / "tests" / "planted" / name
    folder.mkdir(parents=True)
    for module, text in planted.items():
        (folder / f"test_{module}.py").write_text(text)
    return subprocess.run(
        ["ci/test", f"tests/planted/{name}", *options],
        cwd=copy.folder,
        env=dict(copy.environment()),
        capture_output=True,
        text=True,
        check=False,
    )


def in_parts(copy: WorkingCopy, name: str, *, how: str = "tests", **planted: str) -> subprocess.CompletedProcess[str]:
    """A script of one part, sourced from ci/parts.sh as `ci/test` does it; `how` is `tests` or `beside`."""
    folder = copy.folder / name
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    for module, text in planted.items():
        (folder / f"test_{module}.py").write_text(text)
    pytest_here = f".venv/bin/python -m pytest -p no:hypothesispytest --rootdir {copy.folder} -c {folder}/pytest.ini"
    script = f'set -euo pipefail; source ci/parts.sh; {how} "planted" {pytest_here} {folder}; '
    script += f"beside_ended; second_try {pytest_here}"
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


def test_with_x_no_test_gets_a_second_try_because_later_tests_did_not_run(copy: WorkingCopy) -> None:
    assert ci_test(copy, "stops", "-qx", flaky=FAILS_EVERY_OTHER_RUN, later=IS_BROKEN).returncode == 1


@pytest.mark.parametrize("how", ["tests", "beside"])
def test_a_flaky_test_does_not_hide_a_broken_one(copy: WorkingCopy, how: str) -> None:
    done = in_parts(copy, f"both-{how}", how=how, flaky=FAILS_EVERY_OTHER_RUN, broken=IS_BROKEN)
    assert done.returncode == 1
    assert "failed again" in done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fixture", FIXTURE_FAILS_ONCE),
        ("shared", SHARED_FIXTURE_FAILS_ONCE),
        ("brackets", WITH_BRACKETS),
        ("flaky", FAILS_EVERY_OTHER_RUN),
    ],
)
def test_what_fails_only_once_gets_a_second_try_and_is_named_whole(copy: WorkingCopy, name: str, text: str) -> None:
    done = in_parts(copy, f"once-{name}", once=text)
    assert done.returncode == 0, done.stdout + done.stderr
    if name == "brackets":
        assert "test_that_is_flaky[/livez]" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("many", MANY_FAIL_ONCE, "4 tests failed; at most 3 are tried again"),
        ("skip", SKIPS_THE_SECOND_TIME, "the second run skipped this test"),
        ("teardown", TEARDOWN_FAILS, "a teardown failed"),
        ("crash", ENDS_THE_PROCESS, "pytest did not finish"),
        ("late", FAILS_AFTER_ITS_LAST_TEST, "exit code 1, which the failed tests in its log do not explain"),
        ("collect", CANNOT_BE_IMPORTED, "cannot be imported or collected"),
        ("nothing", "", "5 no tests"),
    ],
)
def test_what_a_second_try_cannot_mend_fails_with_the_reason(copy: WorkingCopy, name: str, text: str, why: str) -> None:
    done = in_parts(copy, name, planted=text)
    assert done.returncode == 1
    assert why in done.stderr


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        (
            "listed",
            "| `listed/test_once.py::test_that_is_flaky` | 2026-01-01 | planted |",
            "needed a second try before",
        ),
        ("unclear", "| test_that_is_flaky | 2026-01-01 | planted |", "does not begin with a test's id"),
    ],
)
def test_the_list_of_flaky_tests_is_obeyed_and_must_be_readable(
    copy: WorkingCopy, name: str, row: str, why: str
) -> None:
    page = copy.folder / "tests/flaky.md"
    before = page.read_text()
    page.write_text(f"{before}{row}\n")
    try:
        done = in_parts(copy, name, once=FAILS_EVERY_OTHER_RUN)
    finally:
        page.write_text(before)
    assert done.returncode == 1
    assert why in done.stderr


def test_a_run_that_was_killed_beside_the_others_fails(copy: WorkingCopy) -> None:
    killed = "import os, signal\n\ndef test_it() -> None:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    assert in_parts(copy, "killed", how="beside", killed=killed).returncode == 1
