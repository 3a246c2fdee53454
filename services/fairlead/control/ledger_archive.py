"""The ledger archive: logs each appended revision as one complete line, so that pruned revisions can be verified."""

from __future__ import annotations

import json
import logging

logger = logging.getLogger(__name__)


def write(document: str) -> None:
    """Log a revision, given as canonical JSON. The log line contains it as a JSON object, not as a quoted string."""
    logger.info("revision appended", extra={"revision": json.loads(document)})
