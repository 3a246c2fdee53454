"""A gateway's admin page over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AdminPage:
    """What the page says, and who asked."""

    status: int = 200
    page: str = ""
    closing: bool = False
    asked: list[str] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    port: int = 0
