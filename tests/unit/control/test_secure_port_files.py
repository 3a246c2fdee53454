"""The certificate of the port with TLS: one that gateways would not believe is told, and plain ports serve on."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from charts.sample import FACTS
from fairlead.contracts.gateway import name_for_gateways
from fairlead.control import kubernetes
from fairlead.control.chart_settings import ChartSettings
from fairlead.errors import Invalid
from support.cluster.certificates import Authority
from support.mounted_secret import MountedSecret

HOST = "edge-control-plane.serving.svc.cluster.local"


def chart(folder: Path, *, also_plain: bool) -> ChartSettings:
    more = {"FAIRLEAD_GATEWAY_TLS": str(folder), "FAIRLEAD_GATEWAY_ALSO_PLAIN": str(also_plain).lower()}
    return ChartSettings.from_environment({**FACTS, **more})


@pytest.mark.parametrize("names", [[HOST, name_for_gateways(HOST)], [HOST]], ids=["both names", "one name"])
def test_gateways_must_find_the_name_that_they_verify(tmp_path: Path, names: list[str]) -> None:
    authority = Authority(tmp_path).create()
    mounted = MountedSecret(tmp_path / "mounted").put(authority.issue("control", hosts=names), [authority])
    only = chart(mounted.folder, also_plain=False)
    if len(names) == 1:
        with pytest.raises(Invalid, match=f"has not the name gateways.{HOST}"):
            kubernetes.secure_port(only, wait_s=0.0)
        return
    made = kubernetes.secure_port(only, wait_s=0.0)
    assert made is not None
    assert (made.gateway, made.also_plain) == ("edge-gateway.serving.svc.cluster.local", False)


def test_with_other_ports_for_gateways_a_missing_certificate_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        made = kubernetes.secure_port(chart(tmp_path, also_plain=True))
    assert made is not None
    assert made.also_plain
    assert "the ports without TLS do: the certificate" in caplog.text


def test_without_files_there_is_no_port_with_tls() -> None:
    assert kubernetes.secure_port(ChartSettings.from_environment(FACTS)) is None
