"""`UnreadAnswers`: bounds the bytes of answers that clients do not read, because each stays in memory until it is read.

A connection takes part only while the kernel takes no more of its answer.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)


class UnreadAnswers:
    """The connections whose clients do not read, the one that waits longest first. Call it on the event loop only."""

    def __init__(self, limit: int) -> None:
        """`limit` is the most bytes of all such answers."""
        self._limit = limit
        self._connections: dict[Any, None] = {}

    def paused(self, connection: Any) -> None:
        """A client does not read its answer. If those of all are too large, the first of them lose their connections.

        A connection is uvicorn's protocol for HTTP/1.1, whose transport says how much is not sent.
        """
        self._connections[connection] = None
        sizes = {one: one.transport.get_write_buffer_size() for one in self._connections}
        left = sum(sizes.values())
        for one, size in sizes.items():
            if left <= self._limit:
                return
            left -= size
            logger.warning("a client does not read its answer: its connection is ended", extra={"unread": size})
            self.reads(one)
            one.transport.abort()

    def reads(self, connection: Any) -> None:
        """A client reads again, or is gone."""
        self._connections.pop(connection, None)
