"""`Format`: the interface of an artifact format. It reads checked bytes into a Python object, and writes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from fairlead.contracts.formats import KINDS
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import shared_dimensions
from fairlead.serving.libraries import library as library


class Format(Protocol):
    """One artifact format. The manifest's `format` names it."""

    def read(self, artifact: Path) -> Any:
        """Read the object from the artifact. The caller has checked the digest."""

    def write(self, value: Any, artifact: Path) -> None:
        """Write the object so that `read` returns an equal one. The same object must give the same bytes."""


class Described(Format, Protocol):
    """A format whose artifact names its inputs and outputs."""

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and outputs that the artifact states. Loads no model and runs no code. Raises Invalid."""

    def dimensions(self, artifact: Path) -> shared_dimensions.Names:
        """The names of the dimensions of each input. As `signature`; it may raise OSError too."""


class Weights(Format, Protocol):
    """A format whose artifact has only the weights of something that the code of the folder makes."""

    def built_by(self, make: Callable[[], Any]) -> Format:
        """The same format, with the class or factory that `entry` names."""


class Maps(Format, Protocol):
    """A format that can map the arrays of its artifact into memory, where processes share them."""

    def mapping(self) -> Format:
        """The same format. `read` maps, so the artifact must stay as long as what was read."""


class Trusting(Format, Protocol):
    """A format that reads only what is known to be data, and what the manifest names in `trusted`."""

    def trusting(self, names: Iterable[str]) -> Format:
        """The same format, which also reads what has these names."""


def library_of(name: str, module: str) -> Any:
    """Import a module that a format needs. Raises Unavailable, with the extra of the format as hint."""
    return library(module, extra=KINDS[name].extra, needed_for=f"format {name!r}")
