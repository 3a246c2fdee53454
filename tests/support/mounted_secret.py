"""A folder with the files of a Secret, replaced together as the kubelet does it: by renaming the link `..data`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from support.cluster.certificates import Authority


class MountedSecret:
    """A certificate, its key, and the authorities that its owner believes: tls.crt, tls.key and ca.crt."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.certificate, self.key, self.authorities = (folder / name for name in ("tls.crt", "tls.key", "ca.crt"))
        self._numbers = itertools.count()

    def put(self, issued: tuple[Path, Path], trusted: Sequence[Authority]) -> MountedSecret:
        """Replace all three files at once."""
        made = self.folder / f"..{next(self._numbers)}"
        made.mkdir()
        certificate, key = issued
        (made / "tls.crt").write_bytes(certificate.read_bytes())
        (made / "tls.key").write_bytes(key.read_bytes())
        (made / "ca.crt").write_text("".join(one.certificate.read_text() for one in trusted))
        link = self.folder / "..data_tmp"
        link.symlink_to(made.name)
        os.replace(link, self.folder / "..data")
        for file in (self.certificate, self.key, self.authorities):
            if not file.is_symlink():
                file.symlink_to(f"..data/{file.name}")
        return self
