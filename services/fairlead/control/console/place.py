"""Where the platform is that the console shows: what a command needs so that it reaches the same one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """The name of the platform, the options that name it, and where its gateways are looked at."""

    name: str
    options: str
    gateways: str
    """What to do when no gateway answers."""
    is_cluster: bool = False
    gateway_url: str = ""
    """The address at which the reader of a page reaches the gateway; empty where it is not known."""

    @classmethod
    def of_folder(cls, state: Path, gateway_url: str = "") -> Place:
        """A platform on one machine. Its commands work in any folder."""
        log = f"read {state / 'logs' / 'gateway.log'}"
        return cls(str(state), f"--state {shlex.quote(str(state))}", log, gateway_url=gateway_url)

    @classmethod
    def of_namespace(cls, namespace: str) -> Place:
        """A platform in a cluster."""
        options = f"--namespace {namespace}"
        pods = f"kubectl get pods --selector app.kubernetes.io/component=gateway {options}"
        return cls(f"namespace {namespace}", options, pods, is_cluster=True)

    def of_model(self, namespace: str) -> Place:
        """The same, for commands about a model of this namespace: a platform may serve several."""
        return replace(self, options=f"--namespace {namespace}") if self.is_cluster and namespace else self

    def with_options(self, command: str) -> str:
        """A command of fairlead, with the options that name this platform."""
        return f"{command} {self.options}"
