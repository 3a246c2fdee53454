"""An open page of the console, as its script sees it: the parts that the server sends."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx


@dataclass
class OpenPage:
    """The parts of a page now, and when each one changed last, by the monotonic clock."""

    parts: dict[str, str] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    is_complete: bool = False
    """Whether the server ended the stream itself: a process that is killed does not."""

    def shows(self, part: str, text: str) -> bool:
        """Whether the part has the text."""
        return text in self.parts.get(part, "")


@contextlib.contextmanager
def open_page(control_url: str, route: str = "") -> Iterator[OpenPage]:
    """Follow a page until the block ends; the first page without a route."""
    page, leaving = OpenPage(), threading.Event()

    def follow() -> None:
        try:
            timeout = httpx.Timeout(5, read=30)
            with httpx.stream("GET", f"{control_url}/console/events", params={"route": route}, timeout=timeout) as sent:
                for line in sent.iter_lines():
                    if leaving.is_set():
                        return
                    if line.startswith("data: "):
                        told = json.loads(line.removeprefix("data: "))
                        page.parts[told["part"]] = told["html"]
                        page.changed[told["part"]] = time.monotonic()
            page.is_complete = True
        except httpx.HTTPError:
            pass  # the server has ended
        finally:
            page.ended.set()

    thread = threading.Thread(target=follow, name="page", daemon=True)
    thread.start()
    try:
        yield page
    finally:
        leaving.set()
