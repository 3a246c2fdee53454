"""What every process of the platform logs: one JSON object per line on stderr, and nothing else there."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import TextIO

# What logging itself puts on a record; everything else came through `extra` and becomes a field of the line.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as one line: time, level, logger, message, the fields of `extra`, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline; whatever cannot be written as JSON is written as text."""
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
    """Send every logger of the process to one stream; called once, by the process's entry point."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel("WARNING")  # its start-up lines are said better by ours
