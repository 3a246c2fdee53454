"""Golden files: whole gateway configurations, so that a change of the configuration shows as a diff.

`PYTHONPATH=tests python -m unit.routing.goldens` writes them again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.table import Mirror
from fairlead.routing.compile import compile
from fairlead.routing.envoy.bootstrap import bootstrap
from fairlead.routing.envoy.static import render_static
from fairlead.routing.snapshot import AccessLog, Endpoint, EntryTls, Guard, Routed, Settings, Tracing
from unit.routing.tables import V1, V2, Endpoints, iris

FOLDER = Path(__file__).parent / "golden"
SECRETS = "/etc/fairlead"
"""Where the gateways of the configurations with TLS have the files of their certificates."""
SETTINGS = Settings(port=8080)  # no config source for routes: they are in the file


def _hosts(routed: Sequence[Routed], host: str = "127.0.0.1", secrets: str = "") -> Endpoints:
    return {
        (one.table.namespace, one.table.model, ref): [Endpoint(host, 9000 + place, secrets)]
        for one in routed
        for place, ref in enumerate(one.table.pins)
    }


def configurations() -> Mapping[str, Any]:
    """Complete static configurations, by file name."""
    stable = [iris(1, pins=(V1,))]
    canary = [
        iris(
            7,
            pins=(V1, V2),
            candidate=V2,
            weight=500,
            attempt=2,
            sticky="x-user-id",
            mirrors=(Mirror(version=V2, share=1_000),),
        )
    ]
    # A model that is not idempotent, DNS names instead of addresses, and all optional settings.
    careful = [iris(3, pins=(V1,), idempotent=False, request_timeout_s=90.0)]
    settings = replace(
        SETTINGS, host="0.0.0.0", cors_origins=("https://a.example",), access_log=AccessLog("/dev/stdout")
    )
    access = {"shop": {"keys": [key_hash("a key")], "models": ["iris"], "limit": {"rate": 5}}, "web": {"claims": {}}}
    issuer = {"issuer": "https://login.example", "audiences": ["models"], "jwksUrl": "https://login.example/jwks"}
    tokens = [{**issuer, "caFile": "/etc/ssl/certs/ca-certificates.crt"}]
    guard = Guard(Access.model_validate({"clients": access, "tokens": tokens}), key_hash("own"), gateways=2)
    # One version is cold, the other one is not.
    cold = [iris(4, pins=(V1, V2), cold=(V1,))]
    traced = replace(
        SETTINGS,
        tracing=Tracing(Endpoint("collector.telemetry.svc.", 4318), per_million=10_000),
        access_log=AccessLog("/dev/stdout", 10_000),
    )
    calls = replace(SETTINGS, grpc=True)
    tls = EntryTls(8443, SECRETS, 443, asks_for_certificates=True, plain="redirect", own_key=key_hash("own"))
    return {
        "traced": _static(stable, _hosts(stable), traced),
        "grpc": _static(stable, _hosts(stable), calls),
        "entry": _static(stable, _hosts(stable), replace(SETTINGS, entry=tls)),
        "guarded-grpc": _static(stable, _hosts(stable), replace(calls, guard=guard)),
        "guarded": _static(stable, _hosts(stable), replace(settings, guard=guard, hosts=("models.example",))),
        "cold": _static(cold, _hosts(cold), replace(SETTINGS, holds=True)),
        "stable": _static(stable, _hosts(stable), SETTINGS),
        "canary": _static(canary, _hosts(canary), SETTINGS, pending=["wine"]),
        "secured": _static(stable, _hosts(stable, "iris-aaaaaaaaaa.ml.svc.cluster.local.", SECRETS), SETTINGS),
        "careful": _static(careful, _hosts(careful, "iris-aaaaaaaaaa.ml.svc.cluster.local."), settings),
    }


def _static(routed: Sequence[Routed], endpoints: Endpoints, settings: Settings, pending: Sequence[str] = ()) -> Any:
    snapshot = compile(routed, endpoints, settings, pending)
    return render_static(snapshot, bootstrap("/srv/gateway", admin=Endpoint("127.0.0.1", 9901)))


def file_text(configuration: Any) -> str:
    """The text of the golden file."""
    return json.dumps(configuration, indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, configuration in configurations().items():
        (FOLDER / f"{name}.json").write_text(file_text(configuration), encoding="utf-8")
