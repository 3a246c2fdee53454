"""Logging for every process of the platform, on stderr: JSON lines for programs, short lines for people."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

LogFormat = Literal["auto", "json", "text"]
"""How lines are written. `auto`: text on a terminal, else JSON."""
LogLevel = Literal["debug", "info", "warning", "error"]

# Attributes that `logging` itself sets on a record. Every other attribute came through `extra` and becomes a field.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}

SENTENCES = {
    "listening": "{model} {version} listens at {url}",
    "revision appended": "revision {revision[route]}.{revision[seq]} ({revision[cause]}) by {revision[actor]}: "
    "{revision[reason]}",
    "request": "{method} {path} {status} in {ms} ms",
    "request at the gateway": "gateway: {method} {path} {status} in {duration_ms} ms",
    "attempt failed at the gateway": "gateway: attempt {attempt} {status} in {duration_ms} ms",
    "request failed at the gateway": "gateway: {method} {path} {status} in {duration_ms} ms",
}
"""How messages with these names read for people. The fields in the sentence are not repeated after it."""
BANNER = (
    "{model} {version} is served in the foreground\n  predict  {url}/predict\n  docs     {url}/docs\n  Ctrl-C stops it"
)
"""What a service at a terminal says instead of `listening`."""
_NOT_SHOWN = {"time", "level", "logger", "message", "traceback", "stack", "pid"}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n"
_OURS = f'  File "{Path(__file__).parent}{os.sep}'
_HEAD = "Traceback (most recent call last):"


# Without a handler, Python would print our warnings on stderr in processes that use Fairlead as a library.
logging.getLogger("fairlead").addHandler(logging.NullHandler())


class JsonLines(logging.Formatter):
    """Formats a record as one JSON line: time, level, logger, message, fields of `extra`, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline. Values that JSON cannot hold are written as text."""
        return json.dumps(self._fields(record), default=str, ensure_ascii=False)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
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
        return line


class TextLines(JsonLines):
    """Formats a record for people: local time, level, message, the other fields, and a traceback below if any."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """The lines, without a newline at the end."""
        fields = self._fields(record)
        # Not for a line of another process, whose terminal this is not.
        is_banner = fields["message"] == "listening" and "source" not in fields
        return as_text(fields, colours=self._colours, sentence=BANNER if is_banner else None)


def as_text(line: Mapping[str, Any], *, colours: bool = False, sentence: str | None = None) -> str:
    """The fields of a log line as text for people. The lines of a traceback, or of a long message, are indented.

    `sentence` replaces that of SENTENCES.
    """
    message = str(line.get("message", ""))
    sentence = sentence or SENTENCES.get(message)
    used = set[str]()
    if sentence is not None:
        fields = _Fields(line)
        try:
            message, used = sentence.format_map(fields), fields.used
        except (LookupError, TypeError, ValueError, AttributeError):
            used = set()
    level = _printable(str(line.get("level", "printed")))
    shown = f"{level:<7}"
    if colours and level in _COLOURS:
        shown = f"{_COLOURS[level]}{shown}\x1b[0m"
    parts = [*message.splitlines(), *_traceback(str(line.get("traceback", ""))), *_stacks(line.get("stack"))] or [""]
    first, *more = map(_printable, parts)
    rest = {name: value for name, value in line.items() if name not in _NOT_SHOWN | used}
    if sentence is BANNER and used:
        rest = {}  # it says what a person needs
    tail = "".join(f"  {_printable(name)}={_value(value)}" for name, value in rest.items())
    return "\n".join([f"{local_time(line.get('time'))} {shown} {first}{tail}", *(f"    {one}" for one in more)])


def write_to(file: Path, logger: str, level: str = "info") -> logging.Handler:
    """Also append the lines of a logger, as JSON, to a file."""
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonLines())
    handler.setLevel(level.upper())
    found = logging.getLogger(logger)
    found.addHandler(handler)
    found.setLevel(level.upper())
    return handler


def close(handler: logging.Handler, logger: str) -> None:
    """End what `write_to` began."""
    logging.getLogger(logger).removeHandler(handler)
    handler.close()


def append_line(file: Path, logger: str, level: str, message: str, **fields: Any) -> None:
    """Append one line, as JSON, to a log file that another process writes."""
    record = logging.makeLogRecord({"name": logger, "levelname": level.upper(), "msg": message, **fields})
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{JsonLines().format(record)}\n")


def level_of(fields: Mapping[str, Any]) -> int:
    """The level of a line of another process, as a number; INFO if it does not say."""
    return logging.getLevelNamesMapping().get(str(fields.get("level", "info")).upper(), logging.INFO)


def repeat(fields: Mapping[str, Any], source: str) -> None:
    """Log a line of another process, which it has written as JSON, with that process as its source."""
    level = level_of(fields)
    rest = {
        name: value for name, value in fields.items() if name not in _OWN and name not in ("time", "level", "logger")
    }
    record = logging.makeLogRecord(
        {
            "name": str(fields.get("logger", source)),
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": str(fields.get("message", "")),
            **rest,
            "source": source,
        }
    )
    with contextlib.suppress(ValueError):
        record.created = datetime.datetime.fromisoformat(str(fields.get("time"))).timestamp()
    for handler in logging.getLogger().handlers:
        if level >= handler.level:
            handler.handle(record)


def has_colours(stream: TextIO) -> bool:
    """Whether to write in colours: to a terminal, unless NO_COLOR is set."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def configure(level: str, stream: TextIO | None = None, log_format: LogFormat = "auto") -> None:
    """Send the logs of the whole process to one stream. The process's entry point calls this once."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    # Of the handler too: records that a child logger lets through reach it whatever the root logger's level.
    handler.setLevel(level.upper())
    is_terminal = out.isatty()
    if log_format == "text" or (log_format == "auto" and is_terminal):
        handler.setFormatter(TextLines(colours=has_colours(out)))
    else:
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel("WARNING")  # our own lines report the start-up


class _Fields(dict[str, Any]):
    """The fields of a line; it notes which ones were used."""

    def __init__(self, line: Mapping[str, Any]) -> None:
        super().__init__(line)
        self.used = set[str]()

    def __getitem__(self, name: str) -> Any:
        self.used.add(name)
        value = super().__getitem__(name)
        return _printable(value) if isinstance(value, str) else value


def _traceback(text: str) -> Iterator[str]:
    """The traceback of the first cause, without the leading frames of our own code: what the model's author needs.

    An exception of our own code is shown whole.
    """
    lines = text.partition(_CAUSE)[0].splitlines()
    frames = [at for at, line in enumerate(lines) if line.startswith("  File ")]
    first = next((at for at in frames if not lines[at].startswith(_OURS)), None)
    if lines[:1] != [_HEAD] or first is None:
        yield from lines
        return
    yield _HEAD
    yield from lines[first:]


def _stacks(stacks: object) -> Iterator[str]:
    """Where calls that hang are: each stack without the frames up to the last one of our own code."""
    for stack in stacks if isinstance(stacks, list) else [stacks] if stacks else []:
        lines = str(stack).splitlines()
        ours = [at for at, line in enumerate(lines) if line.startswith(_OURS)]
        frames = [at for at, line in enumerate(lines) if line.startswith("  File ")]
        yield from lines[next((at for at in frames if ours and at > ours[-1]), 0) :]


def _value(value: object) -> str:
    plain = isinstance(value, str) and value and " " not in value
    return _printable(str(value) if plain else json.dumps(value, default=str, ensure_ascii=False))


def _printable(text: str) -> str:
    """The text with control characters escaped: a client's path must not move the cursor of who reads the log."""
    return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def shown(text: str) -> str:
    """Text of others, such as reasons, errors, names and paths, as a terminal shows it: on the lines that it has.

    Control characters, and characters that reorder text, are written as escapes: `\\x1b`. A terminal would obey them,
    and so could be made to show, or to copy to the clipboard, what nobody has written.
    """
    return "\n".join(map(_printable, text.split("\n")))


def local_time(text: object) -> str:
    """A line's time in the time zone of the reader, to the millisecond."""
    try:
        moment = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return "-"
    return moment.astimezone().strftime("%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
