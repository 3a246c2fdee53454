"""Remembers gateways that stopped answering. No I/O here.

A gateway that does not answer may still serve users with an older table. Whether it is gone for good is not known at
once, so for a short time it counts as one that has not acknowledged anything newer than it last reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairlead.rollout.policy.observation import LOST_GATEWAY_HOLD_S
from fairlead.rollout.ports import GatewayState


@dataclass(frozen=True, slots=True)
class _Answer:
    at_s: float
    state: GatewayState


class LostGateways:
    """The last answer of every gateway that answered in the last minute. Not for several threads at once."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] | None = None

    def follow(self, gateways: Sequence[GatewayState], observed_s: float) -> tuple[GatewayState, ...]:
        """The gateways that answered less than `LOST_GATEWAY_HOLD_S` ago and do not answer now, or are not listed now.

        `observed_s` counts observed time only. In the first call nobody knows how long a silent gateway has been
        silent, so it counts as lost just now. A new gateway that has never answered serves nobody and is not lost.
        """
        if self._answers is None:
            self._answers = {one.name: _Answer(observed_s, one) for one in gateways}
        answering = {one.name: _Answer(observed_s, one) for one in gateways if one.reachable}
        known = {**self._answers, **answering}
        self._answers = {name: one for name, one in known.items() if observed_s - one.at_s < LOST_GATEWAY_HOLD_S}
        return tuple(one.state for name, one in sorted(self._answers.items()) if name not in answering)
