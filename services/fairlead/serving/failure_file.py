"""The file in which a service writes why its model cannot be served, before it ends."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from fairlead import errors
from fairlead.contracts.instance import CANNOT_BE_SERVED

logger = logging.getLogger(__name__)

MAX_FAILURE_BYTES = 2048
"""The kubelet keeps 4096 bytes of a termination message."""


@contextlib.contextmanager
def written(file: Path | None) -> Iterator[None]:
    """Write an error of the block to the file, if there is one, and raise it again."""
    try:
        yield
    except errors.FairleadError as error:
        if file is not None:
            _write(file, error)
        raise


def _write(file: Path, error: errors.FairleadError) -> None:
    """Whoever reads CANNOT_BE_SERVED gives the version up. An artifact may be restored before the next start."""
    may_heal = isinstance(error, errors.NotReady | errors.ArtifactRejected) and not isinstance(error, errors.LoadFailed)
    why = ("" if may_heal else CANNOT_BE_SERVED) + error.message.removeprefix(CANNOT_BE_SERVED)
    said = why.encode()[:MAX_FAILURE_BYTES]
    try:
        file.write_text(said.decode(errors="ignore"), encoding="utf-8")  # it may have been cut inside a character
    except OSError as cause:
        logger.warning("the failure could not be written", extra={"file": str(file), "reason": str(cause)})
