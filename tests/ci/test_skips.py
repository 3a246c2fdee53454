"""CI skips no test because something is missing: a test that cannot fail is a defect."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.missing import skip_or_fail

TESTS = Path(__file__).resolve().parents[1]
ALLOWED = {
    "support/missing.py": 1,  # the rule itself
    "ci/test_skips.py": 2,  # expects both outcomes of the rule
    "charts/test_checkov.py": 1,  # CI installs checkov; elsewhere its 290 MB are not fetched unasked
    "charts/test_skaffold.py": 1,  # no CI has Skaffold: the strict model of its schema is what is checked
    "e2e/test_autoscaling.py": 1,  # KUBECONFIG names a user's cluster, which CI has not
    "e2e/test_cluster.py": 2,  # the same, twice
    "e2e/test_disturbances.py": 3,  # the same, twice; and one test that only the full size runs
    "e2e/test_evidence.py": 1,  # KUBECONFIG
    "e2e/test_gateways.py": 1,  # KUBECONFIG
    "e2e/test_namespaces.py": 1,  # KUBECONFIG
    "e2e/test_tls.py": 2,  # KUBECONFIG; and only the full size runs it, because it waits for the kubelet three times
    "e2e/test_upgrade.py": 2,  # KUBECONFIG, whose routes it would remove; and only the full size runs it: minutes
    "integration/formats/conftest.py": 1,  # PyTorch has 5 GB: `make torch` runs these tests
    "integration/formats/test_torch.py": 1,  # what is refused without a GPU, and CI has none
    "integration/platform/test_console.py": 1,  # only root can run a process of another user, and CI runs as root
    "integration/serving/test_isolation.py": 1,  # Linux only, and CI runs on Linux
    "integration/serving/test_process.py": 1,  # Linux only
}
"""How many skips each file has that `skip_or_fail` does not decide."""
SKIPS = {"skip", "skipif", "importorskip", "xfail", "SkipTest", "skipIf", "skipUnless"}


def skips(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in SKIPS
            and ast.unparse(node).startswith(("pytest.", "unittest."))
        ):
            yield node.attr


def test_every_other_skip_is_listed_here_with_its_reason() -> None:
    found = Counter(
        {str(path.relative_to(TESTS)): len(list(skips(path.read_text()))) for path in sorted(TESTS.rglob("*.py"))}
    )
    assert +found == Counter(ALLOWED)


def test_a_test_whose_program_is_missing_is_skipped_and_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert isinstance(skip_or_fail("no Envoy"), pytest.skip.Exception)
    monkeypatch.setenv("CI", "true")
    assert isinstance(skip_or_fail("no Envoy"), pytest.fail.Exception)
    monkeypatch.setenv("FAIRLEAD_REQUIRE_NODE", "0")
    assert isinstance(skip_or_fail("no node", required_by="FAIRLEAD_REQUIRE_NODE"), pytest.skip.Exception)


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "errors")])
def test_the_tests_of_images_need_the_programs_that_build_images(ci: str, outcome: str) -> None:
    node = "" if os.geteuid() == 0 else ci
    environment = {**os.environ, "CI": ci, "FAIRLEAD_REQUIRE_NODE": node, "PATH": "/no/programs"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / "e2e/test_images.py")]
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    summary = done.stdout.splitlines()[-1]
    assert outcome in summary, done.stdout
    assert "passed" not in summary
    assert "failed" not in summary
    assert "needs" in done.stdout
