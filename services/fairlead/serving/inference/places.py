"""Places for calls of the model: one for each thread. Batchers on the same threads share them."""

from __future__ import annotations

from typing import Protocol

from fairlead import errors


class Owner(Protocol):
    """What the batcher asks of the service that it is a part of."""

    def replace_process(self) -> BaseException | None:
        """Start another process for the model in place of one that ended. Runs on a worker thread; must not raise.

        Returns why that failed, or None.
        """

    def places_changed(self) -> None:
        """`hanging`, `replacing`, `failure` or `has_place` of the batcher has changed. Called on the event loop."""


class Sharer(Protocol):
    """A batcher."""

    @property
    def has_waiting(self) -> bool:
        """Whether a request waits for a place."""

    def wake(self) -> None:
        """A place is free: take it when the next batch is due."""

    def refuse_waiting(self, error: errors.Unavailable) -> None:
        """Refuse the requests that wait for a place: none is left."""


class Places:
    """How many places are free, and how many are lost to calls that do not return and processes that ended."""

    def __init__(self, count: int) -> None:
        self.count = self.free = count
        self.lost = 0
        self._sharers: list[Sharer] = []

    def join(self, sharer: Sharer) -> None:
        """Share the places with this one too."""
        self._sharers.append(sharer)

    def give_back(self, giver: Sharer) -> None:
        """A place is free again. Another batcher whose requests wait has it before the one that had it last."""
        self.free += 1
        if len(self._sharers) > 1:
            self.offer(giver)
            if any(one.has_waiting for one in self._sharers if one is not giver):
                return
        giver.wake()

    def offer(self, giver: Sharer) -> None:
        """Let the others take what one batcher leaves free."""
        for one in self._sharers:
            if one is not giver:
                one.wake()

    def refuse_waiting(self, error: errors.Unavailable) -> None:
        """Refuse all requests that wait for a place."""
        for one in self._sharers:
            one.refuse_waiting(error)
