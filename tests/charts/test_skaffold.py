"""skaffold.yaml: its schema, and the files, images and arguments that it refers to."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from support.cluster.programs import REPOSITORY
from support.skaffold import Artifact, Skaffold

TEXT = (REPOSITORY / "skaffold.yaml").read_text()
CONFIG = Skaffold.model_validate(yaml.safe_load(TEXT))
BY_IMAGE = {artifact.image: artifact for artifact in CONFIG.build.artifacts}


@pytest.mark.parametrize("artifact", CONFIG.build.artifacts, ids=lambda artifact: artifact.image)
def test_every_artifact_names_a_stage_and_arguments_of_its_dockerfile(artifact: Artifact) -> None:
    dockerfile = (REPOSITORY / artifact.docker.dockerfile).read_text()
    stages = set(re.findall(r"^FROM .* AS (\S+)$", dockerfile, re.MULTILINE))
    arguments = set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    assert not artifact.docker.target or artifact.docker.target in stages
    assert set(artifact.docker.build_args) <= arguments
    if requirements := artifact.docker.build_args.get("REQUIREMENTS"):
        assert (REPOSITORY / "requirements" / requirements).exists()


def test_every_image_that_helm_sets_is_one_that_is_built() -> None:
    built = {re.sub(r"[-/.:]", "_", image) for image in BY_IMAGE}
    templates = [
        template for release in CONFIG.deploy.helm.releases for template in release.set_value_templates.values()
    ]
    named = {match for template in templates for match in re.findall(r"\.IMAGE_(?:REPO|TAG|DIGEST)_(\w+)", template)}
    assert named == built


def test_the_verification_runs_in_an_image_that_is_built() -> None:
    assert {verify.container.image for verify in CONFIG.verify} <= set(BY_IMAGE)


@pytest.mark.parametrize("profile", ["dev", "staging", "prod"])
def test_every_profile_names_values_that_exist_for_its_environment(profile: str) -> None:
    files = [file for release in CONFIG.releases_of(profile) for file in release.values_files]
    assert files
    for file in files:
        assert file.startswith(f"k8s/environments/{profile}/")
        assert isinstance(yaml.safe_load((REPOSITORY / file).read_text()), dict)


def test_a_model_is_built_from_the_version_that_its_values_target() -> None:
    arguments = BY_IMAGE["fairlead/model-iris"].docker.build_args
    assert arguments["MODEL"] == f"build/models/{arguments['NAME']}/{arguments['VERSION']}"
    for profile in ("dev", "staging", "prod"):
        values = yaml.safe_load((REPOSITORY / f"k8s/environments/{profile}/iris.yaml").read_text())
        assert values["target"] == arguments["VERSION"]
        assert set(values["versions"]) == {arguments["VERSION"]}


def test_skaffold_itself_accepts_the_file() -> None:
    if (skaffold := shutil.which("skaffold")) is None:
        pytest.skip("skaffold is not installed; only the schema above was checked")
    subprocess.run([skaffold, "diagnose", "--yaml-only"], cwd=REPOSITORY, check=True)
