"""What a data plane is given to serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import Profile
from fairlead.model import Model
from fairlead.serving.formats.made_up_rows import MadeUp
from fairlead.serving.inference import warmup


class Served(Protocol):
    """The model folder to serve: a `formats.folder.ModelFolder`, or an object of a test."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the folder."""

    @property
    def row_type(self) -> type[BaseModel]:
        """The strict row type."""

    @property
    def answer_type(self) -> type[BaseModel]:
        """The answer type."""

    @property
    def golden(self) -> Sequence[warmup.Golden]:
        """The golden rows."""

    @property
    def folder(self) -> Path:
        """The folder on disk."""

    @property
    def copy(self) -> Path | None:
        """The checked copy of the artifact that all processes of the service share, if they do."""

    @property
    def package(self) -> str:
        """The package that its code has become."""

    @property
    def explains(self) -> bool:
        """Whether the model explains its answers."""

    @property
    def profile(self) -> Profile | None:
        """The reference that drift is measured against, if there is one."""

    def start(self, made_up: MadeUp = ...) -> Model[Any, Any]:
        """Load the model. Slow, and may raise any exception. `made_up` says how it is asked made-up rows."""


@dataclass(frozen=True, slots=True)
class StartAgain:
    """How the process starts again without made-up rows: `now` gets the reason, which is `skipped` the next time."""

    skipped: str = ""
    now: Callable[[str], None] = lambda _: None


NEVER_AGAIN = StartAgain()
"""A service that is part of another process."""
