"""A platform whose gateway asks for certificates: what the platform itself asks still works, and files are renewed."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import httpx

from support.cluster.certificates import Authority
from support.platform import DOUBLER, FAIRLEAD, Platform, doublers, running_platform
from support.processes import PATIENCE_S

STRATEGY = {"steps": [{"weight": 5000, "minDuration": "60s"}], "minRequests": 0}


def test_a_release_passes_its_smoke_test_and_a_renewed_certificate_is_served(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority").create()
    own = authority.issue("shop", usages="clientAuth")
    tls = {"certificate": "tls.crt", "key": "tls.key", "clientCa": str(authority.certificate)}
    renew(tmp_path, authority, "first")
    models = doublers(tmp_path, "1.0.0", "1.1.0", strategy=STRATEGY)
    with running_platform(tmp_path, models, tls=tls) as platform:
        assert f"https://127.0.0.1:{platform.tls_port}/models" in (tmp_path / "up.log").read_text()
        assert "answered by doubler 1.0.0" in said(platform, "predict", "doubler")
        at = ["--url", f"https://127.0.0.1:{platform.tls_port}", "--ca", str(authority.certificate)]
        shown_to = ["--cert", str(own[0]), "--cert-key", str(own[1])]
        assert "answered by doubler 1.0.0" in said(platform, "predict", "doubler", *at, *shown_to)
        assert "there is no TLS with the gateway" in said(platform, "predict", "doubler", *at)
        assert "use https" in said(platform, "predict", "doubler", "--url", platform.url)
        platform.command("release", "doubler", "1.1.0")
        head = platform.wait_for("doubler", "the smoke test has passed", weight=5000)
        assert [one.verdict for one in head.evidence if one.gate == "smoke"] == ["pass"]
        client = ssl.create_default_context(cafile=authority.certificate)
        client.load_cert_chain(*own)
        before = serial(platform, client)
        renew(tmp_path, authority, "second")
        platform.process.wait_until(lambda: serial(platform, client) != before, "it is served", within=PATIENCE_S)


def said(platform: Platform, *arguments: str) -> str:
    """All that a command prints."""
    done = subprocess.run([FAIRLEAD, *arguments], cwd=platform.folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def renew(folder: Path, authority: Authority, name: str) -> None:
    """Write a new certificate and its key over those of before, one after the other."""
    certificate, key = authority.issue(name, hosts=["127.0.0.1"], usages="serverAuth")
    (folder / "tls.crt").write_bytes(certificate.read_bytes())
    (folder / "tls.key").write_bytes(key.read_bytes())


def serial(platform: Platform, client: ssl.SSLContext) -> str:
    """The serial number of the certificate of an answer."""
    with httpx.Client(verify=client, trust_env=False) as asking:
        url = f"https://127.0.0.1:{platform.tls_port}/models/doubler/predict"
        with asking.stream("POST", url, content=DOUBLER) as answer:
            assert answer.status_code == 200
            certificate = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()
    return str(certificate["serialNumber"])
