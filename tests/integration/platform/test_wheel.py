"""The built wheel, in a folder of its own: what a user has who has no clone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Child, free_ports

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
COMMAND = [sys.executable, "-P", "-m", "fairlead.cli.main"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which `import fairlead` finds the wheel's files, and nothing of the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site-packages"
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return {**os.environ, "PYTHONPATH": str(target)}


@pytest.fixture(scope="module")
def example(installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("user")
    port, control_port = map(str, free_ports(2))
    command = [*COMMAND, "up", "--example", "--port", port, "--control-port", control_port]
    platform = Child("fairlead up --example", command, log=folder / "up.log", cwd=folder, env=installed)
    platform.start()
    try:
        platform.wait_until(lambda: "up after" in platform.tail(60), "the example is up", within=300)
        yield folder
    finally:
        platform.stop(signal.SIGINT)


def test_the_example_answers_in_an_empty_folder_with_only_the_wheel(example: Path, installed: dict[str, str]) -> None:
    said = subprocess.run(
        [*COMMAND, "predict", "iris"], cwd=example, env=installed, capture_output=True, text=True, check=True
    )
    assert '"label":"setosa"' in said.stdout or '"label":"v' in said.stdout
    assert "answered by iris 1.0.0" in said.stderr


def test_the_example_is_the_users_to_edit(example: Path) -> None:
    files = {str(path.relative_to(example / "fairlead-example")) for path in (example / "fairlead-example").rglob("*")}
    assert {"platform.yaml", "models/iris/train.py", "models/iris/model.py", "build/models/iris/1.1.0"} <= files


def test_only_models_of_the_platform_file_are_trained_because_others_need_more_libraries(example: Path) -> None:
    assert {path.name for path in (example / "fairlead-example/build/models").iterdir()} == {"iris", "sentiment"}


def test_nothing_of_the_clone_is_imported(example: Path, installed: dict[str, str]) -> None:
    where = subprocess.run(
        [sys.executable, "-P", "-c", "import fairlead; print(fairlead.__file__)"],
        cwd=example,
        env=installed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed["PYTHONPATH"])
