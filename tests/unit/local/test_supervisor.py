"""The supervisor's file of scrape targets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from fairlead.contracts.instance import Instance
from fairlead.contracts.platform import ControlSettings, EntryTlsSettings, GatewaySettings, Platform, RunningPlatform
from fairlead.contracts.route import VersionSpec
from fairlead.local.state import StateFolder
from fairlead.local.supervisor import fixed_ports, targets


def test_the_port_with_tls_is_one_that_no_other_process_is_given() -> None:
    tls = EntryTlsSettings(certificate="tls.crt", key="tls.key", port=8443)
    platform = Platform(gateway=GatewaySettings(port=8080, tls=tls), control=ControlSettings(port=8081))
    assert fixed_ports(platform) == {8080, 8081, 8443}
    assert fixed_ports(Platform(gateway=GatewaySettings(port=8080), control=ControlSettings(port=8081))) == {8080, 8081}


def test_the_scrape_targets_are_the_gateway_the_control_plane_and_every_instance(tmp_path: Path) -> None:
    run = RunningPlatform(pid=1, gateway=GatewaySettings(), control=ControlSettings(), admin_port=9901)
    ref = VersionSpec(source="/m").ref("1.0.0")
    instance = Instance(
        id="i", model="iris", ref=ref, host="127.0.0.1", port=8000, ready=True, observed_at=datetime.now(UTC)
    )
    folder = StateFolder(tmp_path / "state")
    folder.create()
    folder.write_targets(targets(run, [instance]))
    gateway, control_plane, model, drift = json.loads((folder.root / "prometheus-targets.json").read_text())
    assert gateway["targets"] == ["127.0.0.1:9901"]
    assert gateway["labels"] == {
        "job": "fairlead-gateway",
        "namespace": "default",
        "fairlead_process": "gateway",
        "__metrics_path__": "/stats/prometheus",
    }
    assert control_plane["targets"] == [f"127.0.0.1:{run.control.port}"]
    assert control_plane["labels"] == {
        "job": "fairlead-control-plane",
        "namespace": "default",
        "fairlead_process": "control-plane",
    }
    assert model["targets"] == ["127.0.0.1:8000"]
    assert model["labels"] == {
        "job": "fairlead-model",
        "namespace": "default",
        "fairlead_process": "model",
        "identity": ref.identity,
    }
    assert drift["targets"] == model["targets"]
    assert drift["labels"] == {
        "job": "fairlead-model-drift",
        "namespace": "default",
        "identity": ref.identity,
        "__metrics_path__": "/metrics/drift",
    }
