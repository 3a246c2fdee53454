"""Starts, finds and removes clusters, and gives tests a handle to one: kubectl, pids, stopping its components."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cluster import isolation, layout, programs, state
from support.cluster.certificates import Authority
from support.cluster.fake_nodes import fake_node
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.layout import Layout, Tier
from support.processes import ProcessFailed, is_alive, wait_until

_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Cluster:
    """A running cluster. `plan` is None if it is the user's own (KUBECONFIG)."""

    kubeconfig: Path
    tools: Path
    plan: Layout | None

    @property
    def has_node(self) -> bool:
        """Whether pods run, instead of only being scheduled."""
        return self.plan is None or self.plan.tier == "node"

    def client(self, namespace: str = "default") -> Client:
        """`kubectl` and `helm` as administrator."""
        return Client(self.tools, self.kubeconfig, namespace)

    def client_of(self, user: str, groups: Sequence[str] = (), namespace: str = "default") -> Client:
        """`kubectl` and `helm` as a user with only the rights that the cluster's RBAC grants."""
        # A service account's name has colons, which separate the files of KUBECONFIG.
        plan, file = self._own_layout(), user.replace(":", "-")
        certificate, key = Authority(plan.certificates).issue(user, groups=groups, file=f"user-{file}")
        path = plan.folder / f"kubeconfig-{file}"
        layout.write_kubeconfig(path, plan.api, plan.certificates / "ca.crt", certificate, key)
        return Client(self.tools, path, namespace)

    def add_fake_node(self, name: str, **options: Any) -> None:
        """Add a node that is for scheduling only (see `fake_nodes.fake_node`)."""
        client = self.client()
        document = fake_node(name, **options)
        client.apply(document)
        client.wait("node", name, _is_ready, "Ready")

    def pid(self, component: str) -> int:
        """The pid of a component (`kubelet`, `kube-apiserver`, ...) on this machine. Raises ProcessFailed."""
        found = state.read(self._own_layout().folder)
        if found is None or component not in found.pids:
            raise ProcessFailed(f"{component} does not run")
        if self._own_layout().tier == "control_plane":
            return found.pids[component]
        keeper = _keeper(self._own_layout().folder)
        if keeper is None:
            raise ProcessFailed("the cluster has ended")
        return _on_this_machine(keeper, found.pids[component])

    def stop(self, component: str) -> None:
        """Kill a component and keep it down until `start`."""
        hold = state.hold_file(self._own_layout().folder, component)
        hold.parent.mkdir(exist_ok=True)
        hold.touch()
        os.kill(self.pid(component), signal.SIGKILL)
        wait_until(lambda: not self.runs(component), f"{component} is down")

    def start(self, component: str) -> None:
        """Let the keeper start a stopped component again, and wait until its process runs."""
        state.hold_file(self._own_layout().folder, component).unlink(missing_ok=True)
        wait_until(lambda: self.runs(component), f"{component} runs again")

    def load(self, *archives: str | Path) -> None:
        """Load images (`docker save` format) on the node. An archive that was loaded last for its image is skipped."""
        plan = self._own_layout()
        socket = plan.folder / "containerd.sock"
        for archive in map(Path, archives):
            # ci/images names an archive IMAGE-DIGEST.tar, with a digest of the image's inputs.
            loaded = plan.folder / "images" / archive.stem.rpartition("-")[0]
            if loaded.exists() and loaded.read_text() == archive.name:
                continue
            command = ["ctr", f"--address={socket}", "-n", "k8s.io", "images", "import", str(archive)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CommandFailed(f"{archive} could not be imported: {done.stderr.strip()}")
            loaded.parent.mkdir(exist_ok=True)
            loaded.write_text(archive.name)

    def name_image(self, name: str, also: str) -> None:
        """Give an image that is on the node a second name."""
        socket = self._own_layout().folder / "containerd.sock"
        command = ["ctr", f"--address={socket}", "-n", "k8s.io", "images", "tag", "--force"]
        done = subprocess.run(
            [*command, f"docker.io/{name}", f"docker.io/{also}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CommandFailed(f"{name} could not get the name {also}: {done.stderr.strip()}")

    def runs(self, component: str) -> bool:
        """Whether a component's process runs."""
        try:
            return is_alive(self.pid(component))
        except ProcessFailed:
            return False

    def _own_layout(self) -> Layout:
        if self.plan is None:
            raise CommandFailed(
                "this needs a cluster that the tests have started, but KUBECONFIG names the user's own; unset it"
            )
        return self.plan


def from_kubeconfig(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that KUBECONFIG names; None if it is not set."""
    if not (named := environment.get("KUBECONFIG")):
        return None
    found = {name: shutil.which(name) for name in ("kubectl", "helm")}
    if all(found.values()) and (folder := Path(str(found["kubectl"])).parent) == Path(str(found["helm"])).parent:
        return Cluster(Path(named), folder, None)
    return Cluster(Path(named), programs.built(["kubectl", "helm"]), None)


@contextmanager
def temporary(tier: Tier, runtime: Path | None = None) -> Iterator[Cluster]:
    """Run a cluster for the duration of a `with` block. It also ends when this process is killed.

    `runtime` is the folder of a containerd that has image volumes (`programs.IMAGE_VOLUMES`).
    """
    folder = cluster_folder(f"test-{os.getpid()}-{tier}-{next(_NUMBERS)}")
    cluster, keeper = _launch(folder, tier, "--until-eof", runtime=runtime)
    try:
        yield cluster
    finally:
        with keeper:  # closes the keeper's input, which ends it
            pass
        shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, tier: Tier) -> Cluster:
    """Start a cluster that runs until `remove`."""
    cluster, keeper = _launch(folder, tier)
    keeper.returncode = 0  # no warning about a running child: it outlives this process
    return cluster


def cluster_folder(name: str) -> Path:
    """The folder of a cluster with this name: a short path, for its sockets, and not in /tmp, which may be small."""
    base = os.environ.get("FAIRLEAD_CACHE") or os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/fairlead"
    return Path(base).expanduser() / "clusters" / name


def _launch(
    folder: Path, tier: Tier, *options: str, runtime: Path | None = None
) -> tuple[Cluster, subprocess.Popen[bytes]]:
    if tier == "node" and (reason := isolation.missing_requirement()):
        raise programs.ProgramMissing(reason)
    tools = programs.built(programs.of_tier(tier))
    folder.mkdir(mode=0o755, parents=True)
    plan = layout.on_loopback(folder, tools)
    if tier == "node":
        plan = layout.in_own_network(folder, tools, isolation.free_network(), runtime)
    plan.write()
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "support.cluster.keeper", str(folder), *options],
            stdin=subprocess.PIPE if options else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(programs.REPOSITORY / "tests")},
            start_new_session=True,
        )
    (folder / "keeper.pid").write_text(str(keeper.pid))
    cluster = Cluster(plan.kubeconfig, tools, plan)
    try:
        _wait_until_usable(cluster, folder, keeper)
    except BaseException:
        keeper.terminate()
        with keeper:
            pass
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return cluster, keeper


def find(folder: Path) -> Cluster | None:
    """The cluster of this folder; None if no keeper runs for it."""
    if not (folder / "layout.json").exists() or _keeper(folder) is None:
        return None
    plan = layout.read(folder)
    return Cluster(plan.kubeconfig, plan.tools, plan)


def remove(folder: Path, *, within: float = 120) -> None:
    """End the cluster of this folder and delete its files: gigabytes, if it ran pods."""
    if (pid := _keeper(folder)) is not None:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), f"the keeper {pid} has ended", within=within)
    shutil.rmtree(folder, ignore_errors=True)


def _keeper(folder: Path) -> int | None:
    try:
        pid = int((folder / "keeper.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(folder).encode() in command else None  # another process may have the pid by now


def _wait_until_usable(cluster: Cluster, folder: Path, keeper: subprocess.Popen[bytes], *, within: float = 120) -> None:
    deadline = time.monotonic() + within
    while (seen := state.read(folder)) is None or seen.phase == "starting":
        if keeper.poll() is not None or time.monotonic() > deadline:
            log = folder / "keeper.log"
            raise ProcessFailed("the cluster did not start:\n" + (log.read_text()[-3000:] if log.exists() else ""))
        time.sleep(0.05)
    if seen.phase == "failed":
        raise ProcessFailed(f"the cluster did not start: {seen.reason}")
    if cluster.has_node:
        cluster.client().wait("node", "node0", _is_ready, "Ready")
    else:
        cluster.add_fake_node("fake0", tainted=False)
    cluster.client().wait("serviceaccount", "default", lambda _: True, "made")


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _on_this_machine(keeper: int, inner: int) -> int:
    """The pid on this machine of the process that has the pid `inner` in the process namespace below a keeper."""
    (unshare,) = _children(keeper)
    (first,) = _children(unshare)
    namespace = Path(f"/proc/{first}/ns/pid").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (folder / "ns/pid").readlink() == namespace and _pid_inside(folder) == inner:
                return int(folder.name)
    raise ProcessFailed(f"no process has the pid {inner} inside the node")


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _pid_inside(folder: Path) -> int:
    line = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("NSpid:"))
    return int(line.split()[-1])
