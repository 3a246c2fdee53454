"""Runs `kubectl` and `helm` against one cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.processes import PATIENCE_S

Object = dict[str, Any]


class CommandFailed(AssertionError):
    """A command against the cluster failed. The message has its errors."""


@dataclass(frozen=True)
class Client:
    """Runs `kubectl` and `helm` with one kubeconfig, in one namespace unless the arguments name another."""

    tools: Path
    kubeconfig: Path
    namespace: str = "default"

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run `kubectl ARGUMENTS` and return its output. Raises CommandFailed."""
        return self._run("kubectl", arguments, stdin, timeout)

    def helm(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        """Run `helm ARGUMENTS` and return its output. Raises CommandFailed."""
        return self._run("helm", arguments, stdin, timeout)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or change objects with server-side apply."""
        text = yaml.safe_dump_all(objects, sort_keys=False)
        self("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def get(self, kind: str, name: str = "", *options: str) -> Object:
        """One object, or a list of objects. Raises CommandFailed if the object does not exist."""
        found: Object = json.loads(self("get", kind, *([name] if name else []), *options, "-o", "json"))
        return found

    def wait(
        self, kind: str, name: str, condition: Callable[[Object], bool], what: str, *, within: float = PATIENCE_S
    ) -> Object:
        """Wait until the condition holds for an object, and return it. CommandFailed has the object's last status."""
        deadline, last = time.monotonic() + within, "never seen"
        while time.monotonic() < deadline:
            try:
                found = self.get(kind, name)
            except CommandFailed as failed:
                last = str(failed)
            else:
                if condition(found):
                    return found
                last = yaml.safe_dump(found.get("status"))
            time.sleep(0.2)
        raise CommandFailed(f"{kind}/{name}: still not true after {within:g} s: {what}; last seen:\n{last}")

    def _run(self, program: str, arguments: tuple[str, ...], stdin: str | None, timeout: float) -> str:
        command = [str(self.tools / program), f"--namespace={self.namespace}", *arguments]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=timeout, env=environment, check=False
        )
        if done.returncode != 0:
            raise CommandFailed(f"{program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout
