"""The options that several commands have. Imports nothing that costs: the shortest commands read them too."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[
    Path, typer.Option("--state", envvar="FAIRLEAD_STATE", help="The state folder of the platform.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-m", help="Why; it goes into the ledger.")]
DEFAULT_STATE = Path(".fairlead")
