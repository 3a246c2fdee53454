"""Finds weights and shares that were probably meant in percent. Fairlead writes them in 1/10,000; Argo in percent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.contracts.route import TOTAL_WEIGHT, MirrorSpec, Strategy
from fairlead.rollout.policy.steps import percent

_ONE_PERCENT = TOTAL_WEIGHT // 100


def small_shares(strategy: Strategy, mirrors: Sequence[MirrorSpec]) -> Iterator[str]:
    """A warning for each list with a weight or share below 1 %, about the first in it. Such a value is allowed.

    The model chart's notes have the same sentences.
    """
    shadow = () if strategy.shadow is None else (strategy.shadow.share,)
    for path, noun, values in (
        ("strategy.steps", "weight", [step.weight for step in strategy.steps]),
        ("strategy.shadow", "share", shadow),
        ("mirrors", "share", [mirror.share for mirror in mirrors]),
    ):
        small = next((value for value in values if value < _ONE_PERCENT), None)
        if small is not None:
            yield (
                f"{path}: {noun} {small} is {percent(small)} ({noun}s are in 1/10,000); "
                f"{small} % is {small * _ONE_PERCENT}"
            )
