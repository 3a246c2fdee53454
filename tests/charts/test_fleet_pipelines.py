"""k8s/fleet: the script and the pipelines that promote a version, in a repository of git."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fleet import FLEET, script

PIPELINES = FLEET / "pipelines"
EMBEDDER = "search/query-embedder"


def git(folder: Path, *arguments: str) -> str:
    named = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    return subprocess.run(["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """k8s/fleet in a repository of its own, with one commit."""
    for name in ("fleet", "environments"):
        shutil.copytree(FLEET.parent / name, tmp_path / "k8s" / name)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    for name, value in (("user.name", "test"), ("user.email", "test@example.com")):
        git(tmp_path, "config", name, value)
    _commit(tmp_path / "k8s/fleet", "first")
    return tmp_path / "k8s/fleet"


def _commit(fleet: Path, said: str) -> None:
    git(fleet, "add", "--all")
    git(fleet, "commit", "--quiet", "--message", said)


def run(fleet: Path, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(fleet), **environment}
    command = [str(fleet / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=known, cwd=fleet)


def release(fleet: Path, environment: str, target: str, model: str = EMBEDDER) -> None:
    file = fleet / model / "release" / f"{environment}.yaml"
    text = re.sub(r'^target: ".*"', f'target: "{target}"', file.read_text())
    digest = "0" * 64
    entry = f'  "{target}": {{image: {{digest: "sha256:{digest}"}}}}\n'
    file.write_text(text if f'  "{target}":' in text else text + entry)


def test_to_promote_copies_the_release_and_says_what_production_serves_until_then(fleet: Path) -> None:
    done = run(fleet, "fleet", "promote", "staging", "prod", EMBEDDER)
    assert done.stdout == f"{EMBEDDER}: prod releases 2.4.0, and serves 2.3.0 until then\n"
    files = [fleet / EMBEDDER / "release" / f"{one}.yaml" for one in ("staging", "prod")]
    assert files[0].read_text() == files[1].read_text()
    assert git(fleet, "status", "--short").split()[1:] == [f"{EMBEDDER}/release/prod.yaml"]


def test_a_release_without_the_version_that_production_serves_is_refused(fleet: Path) -> None:
    staged = fleet / EMBEDDER / "release/staging.yaml"
    staged.write_text("".join(line for line in staged.read_text().splitlines(True) if "2.3.0" not in line))
    done = run(fleet, "fleet", "promote", "staging", "prod", EMBEDDER)
    assert done.returncode == 2
    assert "prod serves 2.3.0, which" in done.stderr
    assert "could not go back to it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("render", "live"), "there is no environment 'live'"),
        (("render", "prod", "search/rancker"), "there is no model 'search/rancker'"),
        (("changed", "nothing", "prod"), "there is no commit 'nothing' here"),
        (("render", "prod", ""), "there is no model ''"),
        (("promote", "staging", "prod", "search/rancker"), "has no release in staging"),
        (("promote", "staging", "prd", EMBEDDER), "there is no environment 'prd'"),
        (("promote", "stage", "prod", EMBEDDER), "there is no environment 'stage'"),
        (("promote", "staging"), "fleet promote FROM TO MODEL"),
    ],
)
def test_a_mistake_is_told(fleet: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run(fleet, "fleet", *arguments)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("last", ["search/rancker", "--dry-run", ""])
def test_nothing_is_applied_if_one_of_the_models_is_unknown(fleet: Path, last: str) -> None:
    done = run(fleet, "fleet", "apply", "prod", EMBEDDER, last, HELM="echo")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_model_may_be_named_with_the_slash_that_a_shell_adds(fleet: Path) -> None:
    done = run(fleet, "fleet", "apply", "prod", f"{EMBEDDER}/", HELM="echo")
    assert done.stdout.startswith("upgrade --install query-embedder ")


def test_changed_names_the_models_whose_values_for_that_environment_differ(fleet: Path) -> None:
    release(fleet, "staging", "2.5.0")
    (fleet / "risk/platform.yaml").write_text("roles: {create: false}\n")
    (fleet / "search/ranker/prod.yaml").write_text("workload: {instances: 5}\n")
    _commit(fleet, "second")
    changed = {one: run(fleet, "fleet", "changed", "HEAD~1", one).stdout.split() for one in ("dev", "staging", "prod")}
    assert changed == {
        "dev": ["risk/platform"],
        "staging": ["risk/platform", EMBEDDER],
        "prod": ["risk/platform", "search/ranker"],
    }


def test_what_staging_serves_is_proposed_for_production_on_a_branch_that_changes_one_file(fleet: Path) -> None:
    release(fleet, "staging", "2.5.0")
    _commit(fleet, "staging releases 2.5.0")
    branch = f"promote/prod/{EMBEDDER}"
    done = run(fleet, "pipelines/propose", "staging", "prod", "HEAD~1")
    assert done.stdout.split() == [branch], done.stderr
    assert git(fleet, "diff", "--name-only", "main", branch).split() == [f"k8s/fleet/{EMBEDDER}/release/prod.yaml"]
    assert git(fleet, "log", "-1", "--format=%s", branch).startswith(f"{EMBEDDER}: prod releases 2.5.0")
    assert git(fleet, "status", "--short") == ""


def test_a_commit_that_releases_nothing_in_staging_proposes_nothing(fleet: Path) -> None:
    release(fleet, "dev", "2.5.0")
    _commit(fleet, "dev releases 2.5.0")
    assert run(fleet, "pipelines/propose", "staging", "prod", "HEAD~1").stdout == ""


@pytest.mark.parametrize(
    ("codes", "expected"), [({}, 0), ({"ranker": 11}, 0), ({"query-embedder": 10, "ranker": 12}, 10)]
)
def test_the_result_of_a_delivery_is_that_of_the_rollouts(
    fleet: Path, tmp_path: Path, codes: Mapping[str, int], expected: int
) -> None:
    """Programs that record how they were called stand in for helm and fairlead, which need a cluster."""
    programs, calls = tmp_path / "programs", tmp_path / "calls"
    programs.mkdir()
    cases = "".join(f"{model}) exit {code} ;; " for model, code in codes.items())
    for name, ends in (("helm", ""), ("fairlead", f"case $2 in {cases}esac")):
        file = programs / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{ends}\n')
        file.chmod(0o755)
    for model in (EMBEDDER, "search/ranker"):
        release(fleet, "staging", "9.0.0", model)
    _commit(fleet, "two releases")
    path = f"{programs}:/usr/local/bin:/usr/bin:/bin"
    done = run(fleet, "pipelines/deliver", "staging", "HEAD~1", PATH=path, CHARTS="charts")
    assert done.returncode == expected, done.stderr
    called = [line.split(" --values")[0] for line in calls.read_text().splitlines()]
    assert called == [
        line
        for model in ("query-embedder", "ranker")
        for line in (
            f"helm upgrade --install {model} charts/model --namespace search",
            f"fairlead wait {model} --namespace search --timeout 30m",
        )
    ]


def steps(name: str) -> dict[str, list[str]]:
    """The shell scripts of each job of a pipeline."""
    document = yaml.safe_load((PIPELINES / name).read_text())
    if name == "github.yaml":
        return {job: [one["run"] for one in body["steps"] if "run" in one] for job, body in document["jobs"].items()}
    return {job: body["script"] for job, body in document.items() if isinstance(body, dict) and "script" in body}


@pytest.mark.parametrize("name", ["github.yaml", "gitlab.yaml"])
def test_every_script_of_a_pipeline_is_shell_and_calls_programs_that_exist(name: str) -> None:
    found = [text for texts in steps(name).values() for text in texts]
    assert list(steps(name)) == ["render", "apply", "propose"]
    for text in found:
        shell = re.sub(r"\$\{\{.*?\}\}", "x", text)
        assert subprocess.run(["bash", "-n"], input=shell, text=True, capture_output=True, check=False).stderr == ""
    for called in re.findall(r"k8s/fleet/[\w/]+", "\n".join(found)):
        assert (FLEET.parents[1] / called).is_file(), called


def test_the_jobs_of_github_have_what_a_job_must_have() -> None:
    document: dict[Any, Any] = yaml.safe_load((PIPELINES / "github.yaml").read_text())
    assert set(document) == {"name", True, "permissions", "concurrency", "env", "jobs"}  # YAML reads `on` as a boolean
    for job in document["jobs"].values():
        assert job["runs-on"]
        assert set(job.get("needs", "").split()) <= set(document["jobs"])
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


def test_the_jobs_of_gitlab_have_stages_that_exist() -> None:
    document = yaml.safe_load((PIPELINES / "gitlab.yaml").read_text())
    jobs = [body for body in document.values() if isinstance(body, dict) and "script" in body]
    assert [job["stage"] for job in jobs] == document["stages"]
    assert all(isinstance(line, str) for job in jobs for line in job["script"])


def test_the_script_needs_nothing_but_helm_and_git() -> None:
    assert "fleet list" in (FLEET / "fleet").read_text()
    assert script("list").split()[0] == "clinic/platform"
