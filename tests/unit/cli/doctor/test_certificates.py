"""What is said of the certificate of the gateways' port with TLS. test_doctor.py has a real cluster and an Ingress."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.doctor import certificates
from fairlead.cli.doctor.finding import Level
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object
from support.cluster.certificates import Authority
from unit.cli.doctor.fake_cluster import FakeCluster, found_by, said_by

[LASTS] = certificates.CHECKS
SECRET = "/api/v1/namespaces/prod/secrets/entry"
WHAT = "the certificate in the Secret entry, of the gateways of fairlead-gateway,"
AN_INGRESS: Object = {
    "metadata": {"name": "fairlead-gateway"},
    "spec": {"tls": [{"hosts": ["a.b"], "secretName": "web"}]},
}
Issue = Callable[..., tuple[Path, Path]]


@pytest.fixture(scope="module")
def issue(tmp_path_factory: pytest.TempPathFactory) -> Issue:
    authority = Authority(tmp_path_factory.mktemp("authority")).create()
    return lambda **more: authority.issue("entry", **{"usages": "serverAuth", "days": "90", **more})


def deployment(component: str, **pod: Any) -> Object:
    metadata = {
        "name": f"fairlead-{component}",
        "labels": {labels.COMPONENT: component, labels.INSTANCE: "fairlead"},
    }
    return {"metadata": metadata, "spec": {"template": {"spec": {"containers": [], **pod}}}}


def a_cluster(files: tuple[Path, Path] | None, hosts: str = "", *refuses: str) -> FakeCluster:
    """A platform whose gateways have TLS. With files, the Secret has them."""
    control = deployment("control-plane", containers=[{"env": [{"name": "FAIRLEAD_HOSTS", "value": hosts}]}])
    gateway = deployment("gateway", volumes=[{"name": "entry", "secret": {"secretName": "entry"}}])
    names = ("tls.crt", "tls.key")
    data = {
        name: base64.b64encode(path.read_bytes()).decode()
        for name, path in zip(names, files or (), strict=files is not None)
    }
    answers = {SECRET: {"data": data}} if files is not None else {}
    found = FakeCluster(*refuses, answers=answers, deployments=[control, gateway], ingresses=[])
    found.server_time = datetime.now(UTC)
    return found


@pytest.mark.parametrize("hosts", ["", "*", "models.example.com", "models.example.com,*.team.example.com"])
def test_one_that_fits_has_no_finding(issue: Issue, hosts: str) -> None:
    files = issue(hosts=["models.example.com", "*.team.example.com"])
    assert [one.level for one in found_by(a_cluster(files, hosts), LASTS)] == [Level.OK]


def test_the_hosts_that_it_lacks_are_named(issue: Issue) -> None:
    files = issue(hosts=["models.example.com"])
    hosts = "models.example.com,api.example.com,*.team.example.com"
    assert said_by(a_cluster(files, hosts), LASTS) == [
        f"problem: {WHAT} is not for api.example.com, *.team.example.com"
    ]


def test_two_faults_are_two_findings(issue: Issue) -> None:
    said = said_by(a_cluster(issue(hosts=["a.example.com"], days="3"), "b.example.com"), LASTS)
    assert said == [f"warning: {WHAT.removesuffix(',')} ends in 3 days", f"problem: {WHAT} is not for b.example.com"]


def test_one_that_has_ended_has_one_finding_whatever_else_is_wrong(issue: Issue) -> None:
    [said] = said_by(a_cluster(issue(hosts=["a.example.com"], days="-1"), "b.example.com"), LASTS)
    assert said == f"problem: {WHAT.removesuffix(',')} ended 24 hours ago"


def test_one_for_clients_only_cannot_be_used(issue: Issue) -> None:
    [said] = said_by(a_cluster(issue(usages="clientAuth")), LASTS)
    assert said.startswith(f"problem: {WHAT} cannot be used: the certificate tls.crt is not for a server")


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_said_to_be_none(issue: Issue, tmp_path: Path, text: str) -> None:
    broken = tmp_path / "broken"
    broken.write_text(text)
    _, key = issue()
    assert said_by(a_cluster((broken, key)), LASTS) == [f"problem: {WHAT} is no certificate in PEM"]


def test_without_the_right_to_read_the_secret_it_is_not_checked(issue: Issue) -> None:
    [found] = found_by(a_cluster(issue(), "", SECRET), LASTS)
    assert found.level is Level.NOT_CHECKED
    assert found.what.endswith(": needs the right to get the Secret entry in namespace prod")


def test_without_the_right_to_list_ingresses_the_certificate_of_the_gateways_is_checked(issue: Issue) -> None:
    assert said_by(a_cluster(issue(days="-1"), "", "ingresses"), LASTS) == [
        f"problem: {WHAT.removesuffix(',')} ended 24 hours ago",
        "not checked: the certificates that Ingresses show: needs the right to list ingresses in namespace prod",
    ]


def test_without_the_right_to_read_one_secret_the_next_is_checked(issue: Issue) -> None:
    cluster = a_cluster(issue(), "", SECRET)
    cluster.objects["ingresses"] = [AN_INGRESS]
    assert said_by(cluster, LASTS) == [
        "not checked: the certificate of the gateways of fairlead-gateway: "
        "needs the right to get the Secret entry in namespace prod",
        "problem: the Secret web, which Ingress fairlead-gateway names, does not exist",
    ]


def test_without_the_right_to_list_deployments_the_certificates_of_ingresses_are_checked() -> None:
    assert said_by(FakeCluster("deployments", ingresses=[AN_INGRESS]), LASTS) == [
        "not checked: the certificates that gateways show: needs the right to list deployments in namespace prod",
        "problem: the Secret web, which Ingress fairlead-gateway names, does not exist",
    ]


def test_a_secret_that_is_missing_is_said_by_the_check_of_secrets() -> None:
    assert [one.level for one in found_by(a_cluster(None), LASTS)] == [Level.OK]


def test_an_ingress_without_its_secret_is_a_problem() -> None:
    said = said_by(FakeCluster(deployments=[], ingresses=[AN_INGRESS]), LASTS)
    assert said == ["problem: the Secret web, which Ingress fairlead-gateway names, does not exist"]
