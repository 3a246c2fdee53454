"""Whether an instance has failed for good: nothing that the supervisor does by itself makes it ready."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fairlead.contracts import json_text
from fairlead.contracts.instance import LOAD_FAILED
from fairlead.local.probe import Reply

RESTARTS = 3
"""A process that ends before it was ready is restarted as often until it counts as failed. It is restarted further."""


class Failure:
    """Why one instance has failed for good, and since when; empty and None while it has not."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.why = ""
        self.at: datetime | None = None
        self._clock = clock
        self._ended = 0

    def ended(self, how: str) -> None:
        """Its process has ended; `how` continues a sentence."""
        self._ended += 1
        if self._ended > RESTARTS:
            self._is(f"its process ended at each of {self._ended} starts before it was ready; the last one {how}")

    def answered(self, reply: Reply) -> None:
        """It has answered /readyz, or has not (status 0)."""
        if reply.status == 200:
            self.forget()
        elif reply.status and _is_for_good(reply):
            self._is(why_unready(reply))

    def forget(self) -> None:
        """Begin anew: it is ready, or its process is started again for a new attempt."""
        self.why, self.at, self._ended = "", None, 0

    def _is(self, why: str) -> None:
        self.why, self.at = why, self.at or self._clock()


def why_unready(reply: Reply) -> str:
    """Why an instance is not ready, by its answer to /readyz."""
    if reply.status == 0:
        return "starting"
    return str(_problem(reply).get("detail") or f"answered {reply.status}")


def _is_for_good(reply: Reply) -> bool:
    return str(_problem(reply).get("type")).endswith(f":{LOAD_FAILED}")


def _problem(reply: Reply) -> dict[str, object]:
    try:
        found = json_text.read(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
