"""Lines of logs, as `fairlead.local.log_files` reads them."""

from __future__ import annotations

import json

from fairlead.local.log_files import GATEWAY, SUPERVISOR, Entry, parse


def at(second: float) -> str:
    return f"2026-01-01T00:{int(second) // 60:02d}:{second % 60:06.3f}Z"


def failure(second: float, path: str = "/models/iris/predict", flags: str = "UH", **more: object) -> Entry:
    line = {"time": at(second), "method": "POST", "path": path, "status": 503, "flags": flags, "duration_ms": 0, **more}
    return next(parse(GATEWAY, [json.dumps(line)]))


def exited(second: float) -> Entry:
    message = "iris 1.0.0 instance 1 exited with code 3 and is restarted"
    return Entry(SUPERVISOR, {"time": at(second), "level": "warning", "message": message, "reason": "libgomp.so.1"})


def raised(second: float, error: str = "ValueError: bad", source: str = "iris-1.0.0-ab12-0") -> Entry:
    cause = f'Traceback (most recent call last):\n  File "model.py", line 9, in predict\n{error}\n'
    head = (
        "The above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n"
    )
    traceback = f"{cause}\n{head}fairlead.errors.ModelFailed: the model's code raised ValueError"
    message = "request failed: the model's code raised ValueError"
    fields = {"level": "error", "message": message, "request_id": f"id-{second}", "traceback": traceback}
    return Entry(source, {"time": at(second), **fields})


def printed(second: float, text: str, source: str = "iris-1.0.0-ab12-0") -> Entry:
    """A line that is none of a log."""
    return next(parse(source, [f"{text}\n"], at(second)))
