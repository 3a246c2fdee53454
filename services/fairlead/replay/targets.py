"""Who is asked: a model folder, which is served meanwhile, or a service or gateway at an address."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from fairlead import errors
from fairlead.calibration.service import Service
from fairlead.contracts import manifest_file
from fairlead.contracts.access import KEY_HEADER, sendable
from fairlead.contracts.manifest import Manifest
from fairlead.local.ports import LOOPBACK
from fairlead.local.probe import Reply
from fairlead.optimization.answers import Failed
from fairlead.optimization.asking import answer_in

PREDICT = "/predict"
_HINT = "Name a model folder, a gateway as http://HOST:PORT, or a service with its path, http://HOST:PORT/predict."


@dataclass(frozen=True, slots=True)
class Target:
    """A folder or an address as somebody wrote it. `version` and `key` are for a gateway."""

    place: str
    version: str | None = None
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0

    @property
    def folder(self) -> Path | None:
        """The model folder; None for an address."""
        return None if "://" in self.place else Path(self.place)

    def manifest(self) -> Manifest | None:
        """The manifest of the folder; None for an address. Raises Invalid or NotFound for a folder that is none."""
        return manifest_file.read(self.folder) if self.folder is not None else None

    def url(self, model: str) -> SplitResult:
        """The address of its predictions. Raises Invalid for what is none."""
        parts = _address(self.place)
        if parts is None:
            raise errors.Invalid(f"{self.place!r} is not the address of a gateway or a service", hint=_HINT)
        path = parts.path.rstrip("/")
        if path.endswith(PREDICT):
            if self.version is not None:
                raise errors.Invalid(
                    f"--version: {self.place} is one service, which has one version", hint="Leave out --version."
                )
            return parts
        pinned = f"/versions/{quote(self.version, safe='')}" if self.version is not None else ""
        return parts._replace(path=f"{path}/models/{model}{pinned}{PREDICT}")


class Replied(NamedTuple):
    """What came back for a request: a JSON value or why there is none, who answered, and the time in seconds."""

    answer: Any
    version: str
    seconds: float


class Asker:
    """Sends requests over one connection."""

    def __init__(self, url: SplitResult, key: str | None, timeout_s: float) -> None:
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(str(url.hostname), url.port, timeout=timeout_s)
        self._path, self._place = url.path, f"{url.scheme}://{url.netloc}"
        self._headers = {"content-type": "application/json", **({KEY_HEADER: key} if key else {})}

    def connect(self) -> None:
        """Connect before the first request. Raises Unavailable where nobody is: no answer could be compared."""
        try:
            self._connection.connect()
        except (OSError, http.client.HTTPException) as error:
            raise errors.Unavailable(
                f"{self._place} cannot be reached: {_why(error)}",
                hint="Check the address, and that the gateway or service runs and can be reached from here.",
            ) from error

    def ask(self, body: bytes, headers: Mapping[str, str]) -> Replied:
        """Send one body."""
        began = time.perf_counter()
        reply = self._sent(body, {**self._headers, **headers})
        seconds = time.perf_counter() - began
        return Replied(answer_in(reply), reply.headers.get("x-model-version", ""), seconds)

    def _sent(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        for is_last in (False, True):  # the other side may have closed a connection that was kept
            is_kept = self._connection.sock is not None
            try:
                self._connection.request("POST", self._path, body=body, headers=dict(headers))
                answer = self._connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                return Reply(answer.status, answer.read(), found)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if is_last or not is_kept or isinstance(error, TimeoutError):
                    return Reply(0, (str(error) or type(error).__name__).encode(), {})
        raise AssertionError("the second try returns")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def asker(target: Target, model: str) -> Iterator[Asker]:
    """What asks a target. A folder is served as long as the context lasts.

    Raises Invalid, NotFound and Unavailable: what is no target, is not there, or does not answer.
    """
    key = sendable(target.key) if target.key else None
    with contextlib.ExitStack() as stack:
        if target.folder is not None:
            service = stack.enter_context(Service(target.folder))
            url = urlsplit(f"http://{LOOPBACK}:{service.port}{PREDICT}")
        else:
            url = target.url(model)
        found = stack.enter_context(contextlib.closing(Asker(url, key, target.timeout_s)))
        found.connect()
        yield found


def _address(place: str) -> SplitResult | None:
    """The parts of an address that can be asked; None for another one."""
    try:
        parts = urlsplit(place)
        (parts.hostname or "").encode("idna")  # as the resolver's library does, with a traceback
        port = parts.port
    except ValueError:
        return None
    is_path = parts.path.isascii() and parts.path.isprintable() and " " not in parts.path
    return parts if parts.scheme in ("http", "https") and parts.hostname and port != 0 and is_path else None


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def is_answered(answer: Any) -> bool:
    """Whether there is an answer."""
    return not isinstance(answer, Failed)
