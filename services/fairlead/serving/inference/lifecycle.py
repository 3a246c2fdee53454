"""The phase of the service, whether it drains, and why it is not ready."""

from __future__ import annotations

from fairlead import errors
from fairlead.serving.observe.board import Board, Phase


class Lifecycle:
    """Phases: loading -> warming -> ready; from loading or warming also to failed. Draining can begin in any phase.

    From failed to warming when the artifact was restored. From ready to hanging while a call of the model exceeds its
    time limit, and to loading while the process that runs the model is replaced.

    Of several workers, each has phases of its own, and all that take connections must be ready.
    """

    def __init__(self, board: Board | None = None) -> None:
        self._board = board or Board()
        self.phase: Phase = "loading"
        self.reason = "the model is being loaded"
        self.draining = False
        self._not_ready: type[errors.NotReady] = errors.NotReady
        self._board.enter("loading", self.reason)

    def enter(self, phase: Phase, reason: str, *, for_good: bool = False) -> None:
        """Enter a phase. `reason` is the text that /readyz returns; `for_good`: no other phase follows."""
        self.phase, self.reason = phase, reason
        self._not_ready = errors.LoadFailed if for_good else errors.NotReady
        if not self.draining:
            self._board.enter(phase, reason)

    def drain(self) -> None:
        """Stop being ready, but go on answering requests."""
        self.draining = True
        self._board.enter("draining", "it is draining")

    def check_alive(self) -> None:
        """Raise NotReady while only a restart of this process may help. Of several workers, the others go on."""
        if self.phase == "hanging" and not self._board.is_another("ready"):
            raise errors.NotReady(self.reason)

    def check_started(self) -> None:
        """Raise NotReady unless the model has been loaded; LoadFailed if it never will be."""
        if self.phase in ("loading", "failed"):
            raise self._not_ready(self.reason)
        self._check_others("loading", "failed")

    def check_ready(self) -> None:
        """Raise NotReady unless the service is ready for new traffic; LoadFailed or Draining if it never will be."""
        if self.draining:
            raise errors.Draining("this process is draining: it was asked to stop and is finishing its requests")
        if self.phase != "ready":
            raise self._not_ready(self.reason)
        self._check_others("loading", "warming", "hanging", "failed", "draining")

    def _check_others(self, *phases: Phase) -> None:
        if obstacle := self._board.obstacle(phases):
            raise errors.NotReady(obstacle)

    @property
    def failure(self) -> errors.NotReady | None:
        """Why the model cannot be served, as LoadFailed if this process does not load it again; None if it may be."""
        return self._not_ready(self.reason) if self.phase == "failed" else None

    @property
    def is_ready(self) -> bool:
        """Whether the service is ready for new traffic."""
        return self.phase == "ready" and not self.draining and self._board.phase() == "ready"
