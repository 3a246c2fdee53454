"""The certificate authority of a cluster and the certificates that it issues, made with `openssl`.

All files are in one folder, which is deleted with the cluster. Certificates are valid for a week.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_DAYS = "7"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Issues certificates that the cluster's API server trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"

    def create(self) -> Authority:
        """Create the authority's certificate and the key that signs service account tokens."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _openssl("req", "-x509", *_KEY, "-days", _DAYS, "-subj", "/CN=fairlead-test-cluster",
                 "-keyout", self._key, "-out", self.certificate)  # fmt: skip
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.folder / "sa.key")
        return self

    def issue(
        self,
        name: str,
        *,
        groups: Sequence[str] = (),
        hosts: Sequence[str] = (),
        file: str = "",
        usages: str = "clientAuth,serverAuth",
        days: str = _DAYS,
    ) -> tuple[Path, Path]:
        """Issue a certificate and key: for a user `name` in `groups`, or for a server at `hosts` (names or IPv4).

        With "-1" for `days` it has expired.
        """
        certificate, key = (self.folder / f"{file or name}{suffix}" for suffix in (".crt", ".key"))
        request, extensions = certificate.with_suffix(".csr"), certificate.with_suffix(".ext")
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        _openssl("req", "-new", *_KEY, "-subj", subject, "-keyout", key, "-out", request)
        lines = ["basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usages}"]
        if hosts:
            lines.append(
                "subjectAltName=" + ",".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in hosts)
            )
        extensions.write_text("\n".join(lines))
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                 "-days", days, "-extfile", extensions, "-out", certificate)  # fmt: skip
        return certificate, key


def _is_address(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
