"""Logging for every process of the platform: one JSON object per line on stderr."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import TextIO

# Attributes that `logging` itself sets on a record. Every other attribute came through `extra` and becomes a field.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON line: time, level, logger, message, fields of `extra`, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline. Values that JSON cannot hold are written as text."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update((name, value) for name, value in vars(record).items() if name not in _OWN)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the logs of the whole process to one stream. The process's entry point calls this once."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel("WARNING")  # our own lines report the start-up
