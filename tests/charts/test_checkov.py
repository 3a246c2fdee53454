"""Checks the rendered charts with checkov. ci/checkov lists the skipped checks, with reasons."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from charts.sample import DIGEST, FETCHED, IRIS, with_version
from support.helm import ROOT, find_helm, render

SCRIPT = ROOT / "ci/checkov"


def run_checkov(*files: Path) -> subprocess.CompletedProcess[str]:
    """Runs checkov. In CI this installs it first, which takes a minute; elsewhere the test is skipped without it."""
    find_helm()
    folder = [str(ROOT / "ci/environment"), "--folder", "checkov"]
    home = Path(subprocess.run(folder, capture_output=True, text=True, check=True).stdout.strip())
    if not (home / ".complete").exists() and not os.environ.get("CI"):
        pytest.skip("checkov is not installed: run `ci/checkov charts/model/values.yaml` once (290 MB)")
    return subprocess.run([SCRIPT, *files], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_checkov_has_no_complaint(tmp_path: Path) -> None:
    pinned = {"image": {"digest": DIGEST}}
    platform = {"controlPlane": pinned, "gateway": {**pinned, "ingress": {"enabled": True}}}
    for name, rendered in (
        ("model", render("model", with_version("1.2.0", {**FETCHED, **pinned}), namespace="models")),
        ("platform", render("platform", platform, namespace="models")),
    ):
        (tmp_path / f"{name}.yaml").write_text(rendered.text)
    done = run_checkov(tmp_path / "model.yaml", tmp_path / "platform.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_checkov_sees_a_pod_that_is_not_locked_down(tmp_path: Path) -> None:
    loose = {**IRIS, "workload": {"securityContext": {"allowPrivilegeEscalation": True}}}
    (tmp_path / "model.yaml").write_text(render("model", loose, namespace="models").text)
    done = run_checkov(tmp_path / "model.yaml")
    assert done.returncode == 1
    assert "CKV_K8S_20" in done.stdout
