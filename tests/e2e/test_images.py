"""Images of models that need libraries of their own: ci/images builds them, and they run in their root file system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import folders
from support.cluster.programs import REPOSITORY, TO_BUILD_IMAGES
from support.missing import skip_or_fail

MODELS = Path("build/models")  # of the repository
IMPORTS_TABULATE = f"import tabulate\n{folders.DOUBLER}"
COMPLETE: dict[str, Any] = {
    "title": "Tabulator",
    "description": "Doubles.",
    "contact": {"name": "Model owners"},
    "license": {"name": "Apache-2.0"},
}


@pytest.fixture(scope="module")
def builder() -> None:
    """What ci/images needs. Without root there is no node either."""
    if os.geteuid() != 0:
        raise skip_or_fail("building an image needs root", required_by="FAIRLEAD_REQUIRE_NODE")
    if packages := [package for program, package in TO_BUILD_IMAGES.items() if shutil.which(program) is None]:
        install = f"apt-get install --no-install-recommends {' '.join(packages)}"
        raise skip_or_fail(f"building an image needs programs that are not installed: {install}")


@pytest.fixture
def home(builder: None) -> Iterator[Path]:
    """A new folder below build/models, the only place from which images are built."""
    made = REPOSITORY / MODELS / f"tabulator-{os.getpid()}"
    yield made
    shutil.rmtree(made)


@pytest.fixture
def folder(home: Path) -> Path:
    """A model folder that needs a library of its own."""
    fields: dict[str, Any] = {**COMPLETE, "name": home.name, "built_with": {"tabulate": "0.10.0"}}
    return folders.make(home / "1.0.0", code=IMPORTS_TABULATE, **fields)


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "ci/images"), str(folder)]
    own = {**os.environ, **environment}
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=own)


def layers(archive: Path) -> list[str]:
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        found: list[str] = json.load(manifest)[0]["Layers"]
        return found


def unpack(archive: Path, root: Path) -> None:
    with tarfile.open(archive) as image:
        for layer in layers(archive):
            with tarfile.open(fileobj=image.extractfile(layer)) as files:
                files.extractall(root, filter="fully_trusted")  # with /tmp as it is: everybody may write


def test_a_model_runs_with_the_libraries_of_its_requirements_txt_in_a_layer_of_its_own(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "requirements.txt").write_text("tabulate==0.10.0\nnumpy\n")
    both = (folder.relative_to(REPOSITORY), MODELS / "iris/1.0.0")
    archives = [Path(build(one).stdout.split()[1]) for one in both]
    own, without = map(layers, archives)
    assert own[:-2] == without[:-1]  # one more layer, between those that all models share and the model
    tmp_path.chmod(0o755)
    unpack(archives[0], tmp_path)
    installed = {path.name.split("-")[0] for path in (tmp_path / "opt/model-libraries").glob("*.dist-info")}
    assert installed == {"tabulate"}  # numpy is the service's own
    path = "/opt/fairlead/program/bin:/opt/fairlead/bin:/usr/bin:/bin"
    inside = ["chroot", "--userspec=65532:65532", str(tmp_path), "/usr/bin/env", "-i", f"PATH={path}", "HOME=/tmp"]
    done = subprocess.run([*inside, "fairlead", "check", "/model"], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["/model: fit to serve"], done.stdout + done.stderr
    assert "tabulate 0.10.0" in done.stdout
    assert done.returncode == 0
    archives[0].unlink()


def test_a_library_that_conflicts_with_the_service_ends_the_build_with_both_versions(folder: Path) -> None:
    (folder / "requirements.txt").write_text("tabulate\nnumpy==1.26.4\n")
    done = build(folder.relative_to(REPOSITORY))
    assert done.returncode != 0
    assert "you require numpy==1.26.4 and numpy" in done.stderr
    assert "does not fit the versions of requirements/image-model.txt" in done.stderr.splitlines()[-1]


def configuration(archive: Path) -> dict[str, Any]:
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        written = image.extractfile(json.load(manifest)[0]["Config"])
        assert written is not None
        found: dict[str, Any] = json.load(written)["config"]
        return found


BASE = "localhost/fairlead/base"


@pytest.mark.parametrize("image", ["control-plane", "envoy", "build/models/iris/1.0.0"])
def test_the_labels_of_an_image_name_its_base_by_digest(builder: None, image: str) -> None:
    """Before, nothing in an image said on which base it was built."""
    labels = configuration(Path(build(Path(image)).stdout.split()[1]))["Labels"]
    assert labels["org.opencontainers.image.base.name"].startswith(BASE)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", labels["org.opencontainers.image.base.digest"])


def test_a_base_that_is_a_tag_is_resolved_to_a_digest_and_the_digest_builds_the_same(home: Path) -> None:
    known = configuration(Path(build(MODELS / "iris/1.0.0").stdout.split()[1]))["Labels"]
    digest = known["org.opencontainers.image.base.digest"]
    folder = folders.make(home / "1.0.0", **COMPLETE, name=home.name).relative_to(REPOSITORY)
    by_tag = build(folder, FAIRLEAD_BASE=f"{BASE}:bookworm")
    assert f"FAIRLEAD_BASE is a tag, now {BASE}@{digest}" in by_tag.stderr, by_tag.stderr
    by_digest = build(folder, FAIRLEAD_BASE=f"{BASE}@{digest}")
    assert "is a tag" not in by_digest.stderr
    archives = [Path(one.stdout.split()[1]) for one in (by_tag, by_digest)]
    assert archives[0] != archives[1]
    assert layers(archives[0]) == layers(archives[1])
    assert {configuration(one)["Labels"]["org.opencontainers.image.base.digest"] for one in archives} == {digest}
