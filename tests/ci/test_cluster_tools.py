"""ci/cluster-tools: which programs belong together, and what makes it build them again. Nothing is built here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / "ci"
SETS = ("tools", "autoscaling-tools", "monitoring-tools", "runtime-tools")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the script and the module files of all sets."""
    for name in SETS:
        shutil.copytree(CI / name, tmp_path / name)
    shutil.copy(CI / "cluster-tools", tmp_path)
    return tmp_path


def tools(ci: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "FAIRLEAD_CACHE": str(ci / "cache")}
    command = [str(ci / "cluster-tools"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def folders(ci: Path) -> dict[str, str]:
    return {name: tools(ci, f"--set={name}", "--folder").stdout for name in SETS}


def test_the_cluster_s_own_set_is_the_default(copy: Path) -> None:
    assert tools(copy, "--folder").stdout == folders(copy)["tools"] != ""


@pytest.mark.parametrize("changed", SETS)
def test_a_new_release_in_one_set_builds_nothing_of_another_again(copy: Path, changed: str) -> None:
    before = folders(copy)
    module = next((copy / changed).glob("*/go.mod"))
    module.write_text(module.read_text() + "// changed\n")
    after = folders(copy)
    assert {name for name in SETS if after[name] != before[name]} == {changed}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--set=others"], SETS),
        (["keda-operator"], ("etcd", "helm")),
        (["--set=autoscaling-tools", "etcd"], ("keda-",)),
        (["--set=monitoring-tools", "etcd"], ("amtool",)),
        (["--set=runtime-tools", "etcd"], ("containerd-shim-runc-v2",)),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(
    copy: Path, arguments: list[str], named: tuple[str, ...]
) -> None:
    done = tools(copy, *arguments)
    assert done.returncode == 2
    assert all(one in done.stderr for one in ("unknown", *named))


def test_every_program_of_a_set_is_made_of_a_module_of_this_set() -> None:
    script = (CI / "cluster-tools").read_text()
    for name in SETS:
        listed = script.split(f'\n{name.replace("-", "_")}="\n')[1].split('"')[0]
        modules = {line.split()[1] for line in listed.strip().splitlines()}
        assert modules == {path.parent.name for path in (CI / name).glob("*/go.mod")}
