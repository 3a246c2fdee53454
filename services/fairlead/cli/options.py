"""The options that several commands have. Imports nothing that costs: the shortest commands read them too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[
    Path, typer.Option("--state", envvar="FAIRLEAD_STATE", help="The state folder of the platform.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; it goes into the ledger.")]
DEFAULT_STATE = Path(".fairlead")
ContextOption = Annotated[
    str | None,
    typer.Option("--context", envvar="FAIRLEAD_CONTEXT", help="A cluster instead of a folder: a context's name."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", envvar="FAIRLEAD_NAMESPACE", help="A cluster instead of a folder: a namespace."),
]


@dataclass(frozen=True)
class Place:
    """Where the platform is: in a state folder, unless a context or a namespace of a cluster is named.

    Never guessed from what happens to be there: a rollback must not land in another platform than was meant.
    """

    state: Path = DEFAULT_STATE
    context: str | None = None
    namespace: str | None = None

    @property
    def in_cluster(self) -> bool:
        """Whether a cluster is meant."""
        return bool(self.context or self.namespace)
