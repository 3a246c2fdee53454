"""Which phase the process is in, and why it is not ready when it is not."""

from __future__ import annotations

from typing import Literal

from fairlead import errors
from fairlead.serving.observe import metrics

Phase = Literal["loading", "warming", "ready", "failed"]


class Lifecycle:
    """loading -> warming -> ready, or failed from either; draining lies over any of them."""

    def __init__(self, meter: metrics.Metrics) -> None:
        self._meter = meter
        self.phase: Phase = "loading"
        self.reason = "the model is being loaded"
        self.draining = False
        meter.phase_entered("loading")

    def enter(self, phase: Phase, reason: str) -> None:
        """Go to a phase; `reason` is the sentence that /readyz gives."""
        self.phase, self.reason = phase, reason
        if not self.draining:
            self._meter.phase_entered(phase)

    def drain(self) -> None:
        """Stop being ready, without stopping to answer."""
        self.draining = True
        self._meter.phase_entered("draining")

    def check_started(self) -> None:
        """Raise NotReady until loading has ended well."""
        if self.phase in ("loading", "failed"):
            raise errors.NotReady(self.reason)

    def check_ready(self) -> None:
        """Raise NotReady unless new traffic is welcome."""
        if self.draining:
            raise errors.NotReady("this process is draining: it was asked to stop and finishes what it has")
        if self.phase != "ready":
            raise errors.NotReady(self.reason)

    @property
    def is_ready(self) -> bool:
        """Whether new traffic is welcome."""
        return self.phase == "ready" and not self.draining
