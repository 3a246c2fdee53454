"""Checks the rendered charts with checkov. ci/checkov lists the skipped checks, with reasons."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.autoscaled import EVERY_TARGET, scaled
from charts.sample import ARTIFACT, DIGEST, FETCHED, IRIS, with_workload
from support.gpu_fleets import CLOUDS
from support.helm import CHARTS, ROOT, Rendered, find_helm, render

SCRIPT = ROOT / "ci/checkov"


def run_checkov(*files: Path) -> subprocess.CompletedProcess[str]:
    """Runs checkov. In CI this installs it first, which takes a minute; elsewhere the test is skipped without it."""
    find_helm()
    folder = [str(ROOT / "ci/environment"), "--folder", "checkov"]
    home = Path(subprocess.run(folder, capture_output=True, text=True, check=True).stdout.strip())
    if not (home / ".complete").exists() and not os.environ.get("CI"):
        pytest.skip("checkov is not installed: run `ci/checkov charts/model/values.yaml` once (290 MB)")
    return subprocess.run([SCRIPT, *files], cwd=ROOT, capture_output=True, text=True, check=False)


PINNED = {"image": {"digest": DIGEST}}
PARTS = {"controlPlane": PINNED, "gateway": PINNED}
TLS = {"mode": "cert-manager", "toModels": True, "controlPlane": "only"}
ENTRY = {"enabled": True, "parentRefs": [{"name": "public"}], "hosts": ["a.example"], "tlsSecretName": "entry"}


def renders() -> Iterator[tuple[str, Rendered]]:
    """Both charts with every part whose pods or objects differ: sources, GPUs, autoscalers, TLS, sizes, entries."""
    sources = {
        "1.2.0": {**FETCHED, **PINNED},
        "1.3.0": {**PINNED, "artifact": ARTIFACT, "source": {"kind": "pvc", "claim": "models"}},
        "1.4.0": {**PINNED, "source": {"kind": "image", "reference": f"a@{DIGEST}", "featureGate": True}},
    }
    yield "sources", model({**IRIS, "versions": {**IRIS["versions"], **sources}, "tls": {"secretName": "own"}})
    for pool in (*sorted(CLOUDS), "dra"):
        gpu = {"pool": "gfd", "mode": "dra"} if pool == "dra" else {"pool": pool}
        yield f"gpu-{pool}", model(with_workload(gpu=gpu, sharedMemory="1Gi"))
    yield "keda", model(scaled(target=EVERY_TARGET))
    yield "cold", model(with_workload(autoscaling={"kind": "managed"}, minInstances=0))
    for size in sorted((CHARTS / "platform/sizes").glob("*.yaml")):
        values = yaml.safe_load(size.read_text())
        parts = {name: {**values.get(name, {}), **PINNED} for name in PARTS}
        yield size.stem, render("platform", {**values, **parts}, namespace="models")
    entry = {**PINNED, "ingress": {name: ENTRY[name] for name in ("enabled", "hosts", "tlsSecretName")}}
    entry |= {"httpRoute": {name: ENTRY[name] for name in ("enabled", "parentRefs")}, "grpc": True}
    yield "tls", render("platform", {**PARTS, "tls": TLS, "gateway": entry}, namespace="models")


def model(values: dict[str, Any]) -> Rendered:
    return render("model", values, namespace="models")


@pytest.mark.timeout(600)
def test_checkov_has_no_complaint(tmp_path: Path) -> None:
    for name, rendered in renders():
        (tmp_path / f"{name}.yaml").write_text(rendered.text)
    done = run_checkov(*sorted(tmp_path.iterdir()))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_checkov_sees_a_pod_that_is_not_locked_down(tmp_path: Path) -> None:
    loose = {**IRIS, "workload": {"securityContext": {"allowPrivilegeEscalation": True}}}
    (tmp_path / "model.yaml").write_text(render("model", loose, namespace="models").text)
    done = run_checkov(tmp_path / "model.yaml")
    assert done.returncode == 1
    assert "CKV_K8S_20" in done.stdout
