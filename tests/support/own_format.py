"""The base of networks of tests: each is its own format, states no tensors, and takes batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats.row_forms import RowForm


class OwnFormat:
    """A network that is its own format: `read` returns it, whatever the artifact."""

    inputs: tuple[Tensor, ...] | None = None
    outputs: tuple[Tensor, ...] | None = None
    unstated = frozenset[str]()
    row_form = RowForm.OF_A_BATCH

    def read(self, artifact: Path) -> Any:
        """The network."""
        return self

    def write(self, value: Any, artifact: Path) -> None:
        """Networks of tests have no file."""
        raise NotImplementedError
