"""The scripts of `helm test`, run as in a cluster, against a real platform."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from charts.scripts import run
from support.helm import CHARTS, ROOT
from support.platform import Platform, running_platform

ASK_MODEL = CHARTS / "model/files/ask.py"
ASK_PLATFORM = CHARTS / "platform/files/ask.py"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    source = str(ROOT / "build/models/iris/1.0.0")
    with running_platform(folder, {"iris": {"target": "1.0.0", "versions": {"1.0.0": {"source": source}}}}) as platform:
        yield platform


def ask(platform: Platform, version: str) -> subprocess.CompletedProcess[str]:
    return run(
        ASK_MODEL,
        FAIRLEAD_GATEWAY=platform.url,
        FAIRLEAD_MODEL="iris",
        FAIRLEAD_VERSION=version,
        FAIRLEAD_TIMEOUT_S="2",
    )


def test_helm_test_of_a_model_asks_a_golden_row_through_the_gateway(platform: Platform) -> None:
    done = ask(platform, "1.0.0")
    assert done.returncode == 0, done.stderr
    assert "iris 1.0.0: ready, the golden row is answered as expected, x-model-version is 1.0.0" in done.stdout


def test_helm_test_of_a_version_that_is_not_served_reports_the_gateways_error(platform: Platform) -> None:
    done = ask(platform, "9.9.9")
    assert done.returncode == 1
    assert "/versions/9.9.9/ready: 404" in done.stderr


def test_helm_test_of_the_platform_checks_control_plane_and_gateway(platform: Platform) -> None:
    addresses = [f"{platform.control_url}/readyz", f"{platform.url}/v2/health/ready"]
    done = run(ASK_PLATFORM, *addresses, FAIRLEAD_TIMEOUT_S="2")
    assert done.returncode == 0, done.stderr
    assert all(f"{address}: 200" in done.stdout for address in addresses)
    done = run(ASK_PLATFORM, "http://127.0.0.1:1/readyz", FAIRLEAD_TIMEOUT_S="0")
    assert done.returncode == 1
    assert "http://127.0.0.1:1/readyz: " in done.stderr
