"""Reading the log files of a state folder: which ones belong to a model, and their lines, also while they grow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.contracts import json_text
from fairlead.contracts.gateway import decode_version, parse_stat, stat_name
from fairlead.contracts.route import VersionRef

CONTROL, GATEWAY, SUPERVISOR = "control-plane", "gateway", "supervisor"
_COMMAND = "fairlead: "
_FLAGS = {
    "UH": "no healthy upstream: no instance of the version is ready",
    "UF": "no connection to the instance",
    "UC": "the instance closed the connection",
    "UR": "the instance reset the connection",
    "UT": "the instance took longer than the time limit",
    "UO": "the instance has too many requests waiting",
    "URX": "every attempt failed",
    "UMSDR": "the whole request took longer than its time limit",
    "UPE": "the instance answered with broken HTTP",
    "LR": "the gateway reset the connection",
    "DC": "the client went away before the answer",
    "DPE": "the client sent broken HTTP",
    "DT": "the request or the connection lasted too long",
    "SI": "the client sent nothing for too long",
    "NR": "no route has this path",
    "NC": "the gateway does not know the version's instances yet",
    "OM": "the gateway is short of memory",
}
"""What Envoy's response flags mean here."""
MAX_LINE_BYTES = 1 << 20
"""A longer line is cut: a process that writes no newline must not fill our memory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log. `fields` are those of its JSON; a line that is not JSON is its `message`."""

    source: str
    """The process that wrote it."""
    fields: dict[str, Any]

    @property
    def time(self) -> str:
        """When it was written, in ISO 8601; empty if the line does not say."""
        return str(self.fields.get("time", ""))

    @property
    def is_printed(self) -> bool:
        """Whether it is no line of a log: the model, a library or Python itself has printed it."""
        return "level" not in self.fields

    def concerns(self, model: str, refs: Collection[VersionRef], version: str | None) -> bool:
        """Whether it is about this model: about one of `refs`, which is `version` alone if that is given.

        The lines of an instance are: its file was chosen. Those of the gateway and of the supervisor name the model.
        """
        if self.source == SUPERVISOR:
            return is_instance(str(self.fields.get("source", "")), model, refs)
        if self.source == GATEWAY:
            cluster = parse_stat(stat_name(str(self.fields.get("cluster", ""))))
            is_ours = str(self.fields.get("route", "")).startswith(f"{model}:")
            return is_ours and (version is None or (cluster is not None and decode_version(cluster.version) == version))
        return True

    def mentions(self, request_id: str) -> bool:
        """Whether it belongs to this request."""
        return self.fields.get("request_id") == request_id or request_id in str(self.fields.get("message", ""))


def parse(source: str, lines: Iterable[str], since: str = "") -> Iterator[Entry]:
    """The entries of a process's lines. A line without a time has that of the line before, at first `since`."""
    for line in lines:
        if not line.strip():
            continue
        fields = _fields(line)
        if source == GATEWAY:
            fields.setdefault("level", "warning")  # all that Envoy itself writes here
        since = str(fields.setdefault("time", since)) or since
        yield Entry(source, fields)


def _fields(line: str) -> dict[str, Any]:
    if line.startswith("{"):
        try:
            found = json_text.read(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found if "message" in found else _access(found)
    text = line.rstrip("\n")
    # What a command says that cannot start, such as `fairlead serve` with a wrong manifest.
    is_error = text.startswith(_COMMAND)
    return {"level": "error", "message": text.removeprefix(_COMMAND)} if is_error else {"message": text}


def _access(found: dict[str, Any]) -> dict[str, Any]:
    """A line of the gateway's access log in the form of our own lines."""
    said = {name: value for name, value in found.items() if value not in (None, "-", "")}
    if "attempt" in said:
        return {"level": "warning", "message": "attempt failed at the gateway", **_why(said), **said}
    is_answered = str(said.get("status", ""))[:1] == "2"
    if is_answered and str(said.get("grpc_status", "0")) == "0":  # a call of gRPC has 200 however it ends
        return {"level": "info", "message": "request at the gateway", **said}
    return {"level": "warning", "message": "request failed at the gateway", **_why(said), **said}


def _why(said: Mapping[str, Any]) -> dict[str, str]:
    meant = [_FLAGS[flag] for flag in str(said.get("flags", "")).split(",") if flag in _FLAGS]
    return {"why": "; ".join(meant)} if meant else {}


def last_message(text: str) -> str:
    """The message of a log's last line, or the reason in it. Indented lines belong to the one before."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(" ")]
    fields = _fields(lines[-1]) if lines else {}
    return str(fields.get("reason") or fields.get("message", ""))


def name_of(model: str, ref: VersionRef, index: int) -> str:
    """The name of an instance's process, which is also that of its log file."""
    return f"{model}-{ref.version}-{ref.identity[:4]}-{index}"


def is_instance(name: str, model: str, refs: Iterable[VersionRef]) -> bool:
    """Whether a process of this name is an instance of one of these versions."""
    starts = (name_of(model, ref, 0)[:-1] for ref in refs)
    return any(name.startswith(start) and name[len(start) :].isdigit() for start in starts)


def of_model(folder: Path, model: str, refs: Collection[VersionRef]) -> dict[str, Path]:
    """The log files of these versions of a model: the process's name, and its file."""
    found = sorted(folder.glob(f"{model}-*.log"))
    return {path.stem: path for path in found if is_instance(path.stem, model, refs)}


@dataclass
class Follower:
    """Reads what was appended to a set of files since the last call. A file that was replaced is read from its start.

    `files` is asked at every call, because a restarted or a new instance may have another file.
    """

    files: Callable[[], dict[str, Path]]
    _places: dict[str, _Place] = field(default_factory=dict)

    def read(self) -> list[Entry]:
        """The new complete lines of all files, in order of time."""
        found: list[Entry] = []
        for source, path in self.files().items():
            place = self._places.setdefault(source, _Place())
            entries = list(parse(source, place.read(path), place.time))
            if entries:
                place.time = entries[-1].time
            found += entries
        return in_order(found)

    def skip(self) -> None:
        """Begin at the ends of the present files."""
        for source, path in self.files().items():
            self._places.setdefault(source, _Place()).skip(path)


@dataclass
class _Place:
    """How far a file was read."""

    inode: int = 0
    offset: int = 0
    time: str = ""

    def skip(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            self.inode, self.offset = status.st_ino, status.st_size

    def read(self, path: Path) -> Iterator[str]:
        try:
            with path.open("rb") as file:
                status = path.stat()
                if status.st_ino != self.inode or status.st_size < self.offset:
                    self.inode, self.offset = status.st_ino, 0
                file.seek(self.offset)
                while line := file.readline(MAX_LINE_BYTES):
                    if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                        return  # not complete yet: the next call reads it again
                    self.offset += len(line)
                    yield line.decode(errors="replace")
        except FileNotFoundError:
            return


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """By time; lines of the same time, and of one process, keep their order. All times are in UTC."""
    return sorted(entries, key=lambda one: comparable(one.time))


def comparable(time: str) -> str:
    """A time in UTC with nine digits of a second: as text, "1.5Z" would be after "1.51Z"."""
    seconds, _, rest = time.partition(".")
    fraction = re.match(r"\d*", rest)
    return f"{seconds[:19]}.{fraction[0] if fraction else '':0<9.9}"
