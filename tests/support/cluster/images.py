"""Builds the images of the platform and of models, and writes an image of one program without a build tool."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from support.cluster.programs import REPOSITORY


def build(source: str) -> tuple[str, str]:
    """The full name and the archive of an image. ci/images builds it from `source` unless it is built already."""
    done = subprocess.run([REPOSITORY / "ci/images", source], stdout=subprocess.PIPE, text=True, check=True)
    name, archive = done.stdout.split()
    return name, archive


def write_pause(program: Path, name: str, target: Path) -> None:
    """Write an image with one static program, in the format of `docker save`."""
    _write(_tar({"pause": (program.read_bytes(), 0o755)}), {"Entrypoint": ["/pause"]}, name, target)


def write_folder(folder: Path, name: str, target: Path) -> None:
    """Write an image that has only this folder, as /model, in the same format."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    layer = _tar({f"model/{path.relative_to(folder)}": (path.read_bytes(), 0o644) for path in files})
    _write(layer, {}, name, target)


def _write(layer: bytes, config: dict[str, Any], name: str, target: Path) -> None:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [f"docker.io/{name}"], "Layers": ["layer.tar"]}]
    target.write_bytes(
        _tar(
            {
                "layer.tar": (layer, 0o644),
                "config.json": (json.dumps(config).encode(), 0o644),
                "manifest.json": (json.dumps(manifest).encode(), 0o644),
            }
        )
    )


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
