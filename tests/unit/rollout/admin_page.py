"""The state of a gateway's admin page that a test serves over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AdminPage:
    """The page's content, and the requests it got."""

    status: int = 200
    page: str = ""
    closing: bool = False
    asked: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    port: int = 0
