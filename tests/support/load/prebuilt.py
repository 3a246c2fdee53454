"""Builds requests as bytes. The classes are plain data, so that they can be pickled for the generator's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def encode(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    media: str = "application/json",
) -> bytes:
    """The bytes of one complete HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT"):
        lines += [f"content-type: {media}", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Always:
    """The same request every time."""

    request: bytes

    def __call__(self, index: int) -> bytes:
        return self.request


@dataclass(frozen=True, slots=True)
class InTurn:
    """Request number `index` is the one at `index` modulo their count."""

    requests: Sequence[bytes]

    def __call__(self, index: int) -> bytes:
        return self.requests[index % len(self.requests)]


class Users:
    """POST requests of users `u0`, `u1`, ...: request `index` comes from user `first + index`, modulo `count` if given.

    Each user sends a request to each of `paths` before the next user does: with three paths a user has three indices.
    """

    def __init__(
        self,
        *paths: str,
        body: bytes,
        header: str = "x-user-id",
        headers: Mapping[str, str] | None = None,
        first: int = 0,
        count: int | None = None,
    ) -> None:
        marker = "\0user\0"
        requests = [encode("POST", path, headers={header: marker, **(headers or {})}, body=body) for path in paths]
        self._halves = [tuple(request.split(marker.encode(), 1)) for request in requests]
        self._first, self._count = first, count

    def user(self, index: int) -> str:
        """The user of request `index`."""
        number = index // len(self._halves)
        return f"u{self._first + (number % self._count if self._count else number)}"

    def __call__(self, index: int) -> bytes:
        before, after = self._halves[index % len(self._halves)]
        return before + self.user(index).encode() + after
