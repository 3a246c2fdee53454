"""The archive: each appended revision is one line of the log, whole, so what was pruned can be read and verified."""

from __future__ import annotations

import json
import logging

logger = logging.getLogger(__name__)


def write(document: str) -> None:
    """Log a revision, given as its canonical JSON: data inside the line, and not text within text."""
    logger.info("revision appended", extra={"revision": json.loads(document)})
