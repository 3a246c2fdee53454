"""The panels that rightly show nothing in a situation of `situations`, and why. Any other empty panel is a fault."""

from __future__ import annotations

from collections.abc import Mapping

from support.monitoring.situations import DRIFTED, FAILING, GROWING, ROLLOUT

_EVERYWHERE = {
    "fleet: Without a profile": "every version has a profile",
    "drift: New categories": "the chosen feature is a number",
}
_NUMBERS = {
    **_EVERYWHERE,
    **dict.fromkeys(
        (
            "drift: Accuracy",
            "drift: F1",
            "drift: Precision and recall",
            "drift: What was predicted, and what was true",
        ),
        "the answers are numbers, and not classes",
    ),
    "drift: Lag": "nobody sends labels",
}
_NO_SHADOW = dict.fromkeys(("rollout: Agreement", "rollout: Other answers"), "the release has no shadow")
_NO_RELEASE = {
    **dict.fromkeys(
        (
            "rollout: Share",
            "rollout: Step",
            "rollout: Verdicts",
            "rollout: Evidence of harm",
            "rollout: Evidence of safety",
            "rollout: Counted requests",
            "rollout: Agreement",
            "rollout: Other answers",
        ),
        "nothing is released",
    ),
    **dict.fromkeys(("drift: Inputs against stable's", "drift: Answers against stable's"), "there is no candidate"),
}
EMPTY: Mapping[str, Mapping[str, str]] = {
    ROLLOUT: _NUMBERS,
    FAILING: _NUMBERS,
    DRIFTED: {**_EVERYWHERE, **_NO_SHADOW, "drift: Error": "the answers are classes, and not numbers"},
    GROWING: {**_NUMBERS, **_NO_RELEASE},
}
"""By model: `dashboard: panel`, and the reason."""
