"""The check of certificates, with what cert-manager would report. NOW is noon of the first of January."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fairlead.cli.doctor import renewals
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object
from unit.cli.doctor.fake_cluster import NOW, FakeCluster, said_by

[LAST] = renewals.CHECKS
MAKES = {"/apis": {"groups": [{"name": "cert-manager.io"}]}}
OK = f"ok: {LAST.title}"


def certificate(*, ready: str = "True", message: str = "", **status: str) -> Object:
    condition = {"type": "Ready", "status": ready, "message": message}
    return {
        "metadata": {"name": "fairlead-gateway"},
        "spec": {"secretName": "fairlead-gateway-tls"},
        "status": {"conditions": [condition], **status},
    }


def gateway(secret: str) -> Object:
    volumes = [{"name": "tls", "secret": {"secretName": secret}}, {"name": "entry", "secret": {"secretName": "public"}}]
    return {
        "metadata": {"name": "fairlead-gateway", "labels": {labels.COMPONENT: labels.COMPONENT_GATEWAY}},
        "spec": {"template": {"spec": {"containers": [], "volumes": volumes}}},
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (certificate(notAfter="2026-03-01T00:00:00Z", renewalTime="2026-02-01T00:00:00Z"), OK),
        (
            certificate(notAfter="2026-03-01T00:00:00Z", renewalTime="2025-12-31T12:00:00Z"),
            "warning: the certificate fairlead-gateway should have been renewed at 2025-12-31 12:00 UTC",
        ),
        (
            certificate(notAfter="2026-01-11T12:00:00Z", renewalTime="2025-12-12T12:00:00Z"),
            "warning: the certificate fairlead-gateway ends in 10 days",
        ),
        # A short one is no fault, as long as it is renewed.
        (certificate(notAfter="2026-01-02T00:00:00Z", renewalTime="2026-01-01T16:00:00Z"), OK),
        (
            certificate(ready="False", notAfter="2025-12-31T12:00:00Z", renewalTime="2025-12-01T12:00:00Z"),
            "problem: the certificate fairlead-gateway ended 24 hours ago",
        ),
        (
            certificate(ready="False", message="Issuing certificate as Secret does not exist"),
            "problem: the certificate fairlead-gateway is not ready: Issuing certificate as Secret does not exist",
        ),
        (
            {**certificate(), "status": {}},
            "problem: the certificate fairlead-gateway is not ready: cert-manager has not looked at it",
        ),
    ],
)
def test_a_certificate_that_is_not_renewed_in_time_is_told_once(found: Object, said: str) -> None:
    cluster = FakeCluster(answers=MAKES, certificates=[found], deployments=[gateway("fairlead-gateway-tls")])
    assert said_by(cluster, LAST) == [said]


def test_where_cert_manager_makes_none_it_is_not_checked_and_a_command_shows_the_end() -> None:
    [said] = said_by(FakeCluster(deployments=[gateway("ours")]), LAST)
    assert said.startswith("not checked: ")
    assert "no Certificate of cert-manager makes the Secret ours of fairlead-gateway" in said
    assert "kubectl get secret ours --namespace prod" in said


def test_a_platform_without_tls_needs_no_certificate() -> None:
    bare = gateway("ours")
    bare["spec"]["template"]["spec"]["volumes"] = []
    assert said_by(FakeCluster(deployments=[bare]), LAST) == [OK]


def test_who_may_not_list_certificates_is_told_the_right() -> None:
    [said] = said_by(FakeCluster("certificates", answers=MAKES, deployments=[]), LAST)
    assert said.endswith("needs the right to list certificates in namespace prod")


PUBLIC = "/api/v1/namespaces/prod/secrets/public"


@pytest.mark.parametrize("days", [-1, 10])
@pytest.mark.parametrize("may_read", [True, False])
def test_the_end_of_one_that_clients_see_is_told_here_only_if_its_secret_may_not_be_read(
    days: int, may_read: bool
) -> None:
    ends = (NOW + timedelta(days=days)).isoformat()
    found = {**certificate(notAfter=ends, renewalTime="2025-12-01T12:00:00Z"), "spec": {"secretName": "public"}}
    cluster = FakeCluster(
        *(() if may_read else (PUBLIC,)),
        answers={**MAKES, PUBLIC: {"data": {}}},
        certificates=[found],
        deployments=[gateway("ours")],
    )
    told = [one for one in said_by(cluster, LAST) if "the certificate fairlead-gateway e" in one]
    assert len(told) == (0 if may_read else 1)
