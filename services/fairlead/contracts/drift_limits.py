"""From when on drift is shown, and from when on it matters: for alerts, the console and `fairlead drift` alike.

PSI is the population stability index, MMD the maximum mean discrepancy.
"""

from __future__ import annotations

from math import log

SHOWN_ROWS = 200
"""With fewer independent rows there is no PSI: about 20 for each bin, or it measures chance."""
LEAST_ROWS = 500
"""An alert needs more independent rows than this,"""
TIMES_CRITICAL = 2
"""and so many times the PSI that chance exceeds at one look of a thousand: one of a million, with any bins."""
INPUT_FLOOR = 0.2
"""The least PSI of an input that matters: the mean has moved by about half a standard deviation."""
ANSWER_FLOOR = 0.1
"""The least PSI of predictions and of their confidence that matters."""
VECTOR_FLOOR = 0.01
"""The least squared MMD of a vector that matters: about one row in ten is of another kind."""
RISE = 0.01
"""Missing values and new categories matter from this share of the rows above the reference,"""
TIMES = 3
"""and from so many times the share in the reference."""
FALSE_ALARMS = 0.01
"""The accepted share of weeks of a model with a false alarm, of 100 inputs that are looked at every hour."""
LOOKS = 100 * 24 * 7


def evidence(looks: float = LOOKS, false_alarms: float = FALSE_ALARMS) -> float:
    """How much evidence a share must have: the logarithm of how rare chance must make it, at each look."""
    return round(log(looks / false_alarms), 2)
