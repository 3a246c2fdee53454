"""Creates the Linux namespaces in which a node runs: its own network, mounts and processes.

Containers, bridges, addresses, packet rules and mounts disappear with the first process of these namespaces.
Two things are outside and are removed here: the network link to this machine, and the control groups of the pods.
A kubelet changes kernel settings of the whole machine, so plain files are mounted over these settings.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from support.cluster.component_processes import die_with_parent
from support.cluster.layout import Layout
from support.cluster.programs import missing_packages

_CGROUPS = Path("/sys/fs/cgroup")
# Kernel settings that a kubelet changes for the whole machine.
_KERNEL_SETTINGS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
# Folders that the node's programs always write to: no flag changes them.
_PRIVATE_FOLDERS = ("/run", "/var/lib", "/var/log")


def missing_requirement() -> str:
    """Why this process cannot run a node, and what to install; empty if it can."""
    if sys.platform != "linux":
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "a node needs root (it has its own network, mounts and processes)"
    if packages := missing_packages():
        install = f"apt-get install --no-install-recommends {' '.join(packages)}"
        return f"a node needs programs that are not installed: {install}"
    trial = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "mount", "-t", "tmpfs", "trial", "/run"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"a node needs namespaces and mounts, and they failed: {done.stderr.strip()}"


def free_network() -> int:
    """The lowest network number for which this machine has no link yet."""
    taken = {path.name for path in Path("/sys/class/net").iterdir()}
    return next(number for number in range(1, 250) if f"fairlead{number}" not in taken)


def control_group(plan: Layout) -> str:
    """The control group of the kubelet's pods. Each cluster has its own, so that two clusters can run side by side."""
    return f"/fairlead{plan.network}"


def enter(plan: Layout, command: Sequence[str], undo: ExitStack) -> int:
    """Run `command` as the first process of new namespaces with a link to this machine. Returns its process id."""
    groups = list(_own_groups(plan))
    undo.callback(_remove_groups, groups)
    for group in groups:
        _make_group(group)
    flags = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    outer = subprocess.Popen(["unshare", *flags, *command], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    undo.callback(_end, outer)
    inner = _only_child(outer)
    name, peer = f"fairlead{plan.network}", "uplink"
    _ip("link", "add", name, "type", "veth", "peer", "name", peer, "netns", str(inner))
    # The kernel removes the link of a dead network only later, and the next cluster needs its number.
    undo.callback(subprocess.run, ["ip", "link", "delete", name], capture_output=True, check=False)
    _ip("address", "add", f"{plan.host_address}/30", "dev", name)
    _ip("link", "set", name, "up")
    for wide in (plan.services, plan.pods):
        _ip("route", "add", wide, "via", plan.address, "dev", name, "onlink")
    return inner


def wait(inner: int, *, until_eof: bool) -> None:
    """Wait until the inner process ends, a signal asks this one to end, or, with `until_eof`, its input closes."""
    signals = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: signals.append(True))
    while not signals and Path(f"/proc/{inner}").exists():
        if not until_eof:
            time.sleep(0.2)
        elif select.select([sys.stdin], [], [], 0.2)[0] and not os.read(sys.stdin.fileno(), 1):
            return


def set_up_inside(plan: Layout) -> None:
    """Inside the namespaces: set up private folders, kernel settings and the node's end of the link."""
    _run("mount", "--make-rshared", "/")
    for folder in _PRIVATE_FOLDERS:
        _run("mount", "-t", "tmpfs", "fairlead", folder)
    for setting in _KERNEL_SETTINGS:
        real = Path("/proc/sys", setting)
        if real.exists():
            replacement = plan.folder / "kernel" / setting.replace("/", ".")
            replacement.parent.mkdir(exist_ok=True)
            replacement.write_text(real.read_text())
            _run("mount", "--bind", str(replacement), str(real))
    deadline = time.monotonic() + 10
    while not Path("/proc/sys/net/ipv4/conf/uplink").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the link to the machine did not appear in 10 s")
        time.sleep(0.01)
    _ip("link", "set", "lo", "up")
    _ip("address", "add", f"{plan.address}/30", "dev", "uplink")
    _ip("link", "set", "uplink", "up")
    _ip("route", "add", "default", "via", plan.host_address)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    between_pods = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if (
        between_pods.exists()
    ):  # without it, a pod that calls a pod on the same bridge through a Service drops the replies
        between_pods.write_text("1")


def _own_groups(plan: Layout) -> Iterator[Path]:
    name = control_group(plan).strip("/")
    if (_CGROUPS / "cgroup.controllers").exists():
        yield _CGROUPS / name
        return
    for hierarchy in sorted(_CGROUPS.iterdir()):  # `unified` too: runc creates groups there, without limits
        if not hierarchy.is_symlink() and (hierarchy / "cgroup.procs").exists():
            yield hierarchy / name


def _make_group(group: Path) -> None:
    group.mkdir(exist_ok=True)
    for setting in ("cpuset.cpus", "cpuset.mems"):  # cgroup v1: a new group has no CPUs, and no process can run in it
        if (group / setting).exists():
            (group / setting).write_text((group.parent / setting).read_text())


def _remove_groups(groups: Sequence[Path]) -> None:
    deadline = time.monotonic() + 10
    while (left := [group for group in groups if group.exists()]) and time.monotonic() < deadline:
        for group in left:
            for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):
                    inner.rmdir()
            with suppress(OSError):
                group.rmdir()
        time.sleep(0.05)


def _only_child(process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        if children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            return int(children[0])
        time.sleep(0.01)
    raise RuntimeError("unshare did not start the node's first process; see the keeper's log for the reason")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":  # for ci/e2e: prints the reason, and exits with 1 if there is one
    print(missing_requirement())
    sys.exit(bool(missing_requirement()))
