"""Starts pods whose model folder comes from an image, an image volume, an archive or a claim, on a real node."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import statistics
import subprocess
import tarfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from support import folders, proof
from support.background import serve_in_background
from support.cluster import images, isolation, lifecycle, programs
from support.cluster.lifecycle import Cluster
from support.cluster.programs import REPOSITORY
from support.delivery.starts import VERSION, Source, Starter
from support.missing import skip_or_fail
from support.processes import wait_until

TITLE = "how long a pod takes to start, by where its model folder comes from"
MEGABYTES = {"full": 256, "reduced": 8}
STARTS = {"full": 4, "reduced": 1}
USER = 65532
FOLDER = REPOSITORY / "build/models/.starts/starts" / VERSION
CODE = folders.DOUBLER.replace("float(artifact.read_text())", "2.0 * bool(artifact.read_bytes())")


class _Files(SimpleHTTPRequestHandler):
    """Serves a folder, and counts."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Every kind, on a node of its own that has image volumes."""
    if reason := isolation.missing_requirement():
        raise skip_or_fail(reason, required_by="FAIRLEAD_REQUIRE_NODE")
    reason = programs.not_built("node")
    if reason or programs.absent(programs.IMAGE_VOLUMES, "runtime-tools"):
        raise skip_or_fail(reason or "containerd is not built: run ci/cluster-tools --set=runtime-tools (once)")
    runtime = programs.built(programs.IMAGE_VOLUMES, "runtime-tools")
    shutil.rmtree(FOLDER, ignore_errors=True)
    model = folders.make(
        FOLDER,
        code=CODE,
        # Bytes that no compression makes smaller, and the same ones each time: then the image is built once.
        artifact=b"".join(random.Random(number).randbytes(1 << 20) for number in range(MEGABYTES[size])),
        name="starts",
        title="Doubler",
        description="Doubles.",
        contact={"name": "Model owners"},
        license={"name": "Apache-2.0"},
    )
    try:
        with lifecycle.temporary("node", runtime) as cluster:
            return _measured(cluster, model, folder, size)
    finally:
        shutil.rmtree(FOLDER)


def _measured(cluster: Cluster, model: Path, folder: Path, size: proof.Size) -> proof.Findings:
    plan = cluster.plan
    assert plan is not None
    cache, archive = plan.folder / "cache", folder / "archive.tar"
    cache.mkdir()
    os.chown(cache, USER, USER)
    with tarfile.open(archive, "w") as packed:
        packed.add(model, ".")
    baked, service = (_loaded(cluster, source) for source in (str(model.relative_to(REPOSITORY)), "iris:1.0.0"))
    reference, import_s = _volume(cluster, model, folder)
    claim = plan.folder / "claim"
    shutil.copytree(model, claim / "doubler")
    kube = cluster.client()
    kube.apply(*_claim(claim))
    runtime = _image(service)
    server = ThreadingHTTPServer((plan.host_address, 0), partial(_Files, directory=str(folder)))
    fetched: dict[str, Any] = {
        **runtime,
        "artifact": _sha256(archive),
        "source": {"kind": "init", "uri": f"http://{plan.host_address}:{server.server_port}/{archive.name}"},
    }
    kinds = {
        "baked": _image(baked),
        "image": {**runtime, "source": {"kind": "image", "reference": reference, "path": "model", "featureGate": True}},
        "init": fetched,
        "init with a cache": {**fetched, "source": {**fetched["source"], "cache": {"hostPath": str(cache)}}},
        "pvc": {
            **runtime,
            "artifact": _listing(model),
            "source": {"kind": "pvc", "claim": "models", "path": "doubler"},
        },
    }
    found = proof.Findings()
    api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
    starter = Starter(api, kube)
    seconds: dict[str, list[float]] = {}
    with serve_in_background(server):
        deployed = {kind: Source(re.sub(r"[^a-z]+", "-", kind), version) for kind, version in kinds.items()}
        names = {kind: starter.deploy(source) for kind, source in deployed.items()}
        # One round that does not count: images are unpacked, files are in the page cache, the cache is filled.
        for number in range(STARTS[size] + 1):
            before = _Files.asked
            for kind, source in deployed.items():
                took = starter.seconds(names[kind], source)
                if number:
                    seconds.setdefault(kind, []).append(took)
            downloads = _Files.asked - before
        found.claim("kinds whose pods became ready", "5", len(seconds), len(seconds) == len(kinds))
        found.claim("downloads by a pod with a cache that has the archive", "0", downloads - 1, downloads == 1)
        _refuse_others(starter, deployed, names, claim / "doubler", found)
    for kind, each in seconds.items():
        found.note(f"`{kind}`: seconds until a pod is ready", f"{statistics.median(each):.1f}")
    found.note("size of the folder", f"{MEGABYTES[size]} MiB")
    found.note("seconds in which the node unpacks the image of the folder, once", f"{import_s:.1f}")
    found.numbers = {"seconds": {kind: [round(one, 2) for one in each] for kind, each in seconds.items()}}
    api.close()
    return found


def _refuse_others(
    starter: Starter, deployed: dict[str, Source], names: dict[str, str], folder: Path, found: proof.Findings
) -> None:
    """A changed file: in the claim, and in the archive's place in the cache."""
    (folder / "model.py").write_text(f"{CODE}\n# changed\n")
    source, name = deployed["pvc"], names["pvc"]
    is_refused = starter.refused(name, source, "is not the model folder that was released")
    wait_until(is_refused, "the pod says that the folder is another one", within=120, every=0.1)
    serves = starter.is_ready(source)
    found.claim("pods that serve a folder of the claim with a changed file", "0", int(serves), not serves)
    starter.remove(name, source)
    [kept] = [one for one in Path(_cache_of(deployed)).iterdir() if len(one.name) == 64]
    kept.write_bytes(b"changed")
    before = _Files.asked
    starter.seconds(names["init with a cache"], deployed["init with a cache"])
    found.claim(
        "downloads after the cached archive was changed", "1", _Files.asked - before, _Files.asked == before + 1
    )


def _cache_of(deployed: dict[str, Source]) -> str:
    return str(deployed["init with a cache"].version["source"]["cache"]["hostPath"])


def _loaded(cluster: Cluster, source: str) -> str:
    name, archive = images.build(source)
    cluster.load(archive)
    return name


def _image(name: str) -> dict[str, Any]:
    repository, _, tag = name.rpartition(":")
    return {"image": {"repository": repository, "tag": tag}}


def _volume(cluster: Cluster, model: Path, folder: Path) -> tuple[str, float]:
    """The image with the folder alone: its reference by digest, and in how many seconds the node took it."""
    archive = folder / "volume-1.tar"
    images.write_folder(model, "fairlead/folder:1", archive)
    since = time.monotonic()
    cluster.load(archive)
    took = time.monotonic() - since
    assert cluster.plan is not None
    ctr = ["ctr", f"--address={cluster.plan.folder / 'containerd.sock'}", "-n", "k8s.io", "images"]
    listed = subprocess.run([*ctr, "ls"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"docker\.io/fairlead/folder:1\s.*?(sha256:[0-9a-f]{64})", listed)
    assert found is not None, listed
    reference = f"docker.io/fairlead/folder@{found[1]}"
    subprocess.run([*ctr, "tag", "docker.io/fairlead/folder:1", reference], capture_output=True, check=True)
    return reference, took


def _claim(path: Path) -> list[dict[str, Any]]:
    """A volume of the node's disk, and the claim that is bound to it."""
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {"capacity": size, **common, "hostPath": {"path": str(path)}}
    claim = {"resources": {"requests": size}, **common, "volumeName": "models"}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "models"}, "spec": volume},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"}, "spec": claim},
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listing(folder: Path) -> str:
    """The digest of a folder, as the page says to compute it."""
    command = "find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True).stdout[:64]


if __name__ == "__main__":
    proof.run("start_time", TITLE, prove)
