"""Options that several commands share. Imports nothing that is slow, so that every command starts fast."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.contracts.spelling import reason_too_long

StateOption = Annotated[
    Path, typer.Option("--state", envvar="FAIRLEAD_STATE", help="The platform's state folder.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _reason(reason: str) -> str:
    if why := reason_too_long(reason):
        raise errors.Invalid(f"--reason: {why}", hint="shorten it, or link to the long text")
    return reason


ReasonOption = Annotated[
    str, typer.Option("--reason", "-m", callback=_reason, help="Why you do this; it is stored in the ledger.")
]
EvenIfDownOption = Annotated[
    bool,
    typer.Option("--even-if-down", help="Do it even if it moves users onto a version without a ready instance."),
]
DEFAULT_STATE = Path(".fairlead")
NO_PLATFORM_HINT = (
    "if it runs in another folder, go there or name it: --state PATH/.fairlead; "
    "a cluster: --namespace NAME; to start a new one here: fairlead up FILE"
)
"""What to do when the state folder has no platform."""
_COMMAND = re.compile(r"`((?:fairlead|kubectl) [^`]+)`")
ContextOption = Annotated[
    str | None,
    typer.Option("--context", envvar="FAIRLEAD_CONTEXT", help="Use a cluster, not a folder: a kubeconfig context."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", envvar="FAIRLEAD_NAMESPACE", help="Use a cluster, not a folder: a namespace."),
]


@dataclass(frozen=True)
class PlatformLocation:
    """Where the platform is: in a state folder, or in a cluster when a context or a namespace is named.

    It is never guessed from what exists: a rollback must not change a platform that the user did not name.
    """

    state: Path = DEFAULT_STATE
    context: str | None = None
    namespace: str | None = None

    @property
    def in_cluster(self) -> bool:
        """Whether the platform is in a cluster."""
        return bool(self.context or self.namespace)

    def with_options(self, command: str) -> str:
        """A command of fairlead or kubectl, with the options that name this platform."""
        options = [f"--context {self.context}"] if self.context else []
        options += [f"--namespace {self.namespace}"] if self.namespace else []
        if not self.in_cluster and self.state != DEFAULT_STATE:
            options.append(f"--state {self.state}")
        return " ".join((command, *options))

    def in_text(self, text: str) -> str:
        """A sentence of the engine, whose commands in backquotes get the options that name this platform."""
        return _COMMAND.sub(lambda found: f"`{self.with_options(found[1])}`", text)
