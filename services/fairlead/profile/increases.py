"""Adds up what the instances of a version count between one reading and the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fairlead.contracts.profile import ANSWERS
from fairlead.profile.bins import Floats
from fairlead.profile.counted import Counted, added


@dataclass(eq=False)
class Increases:
    """One version. Only what instances counted is kept of each, without the names of bins."""

    last: dict[tuple[str, str], Floats] = field(default_factory=dict)
    """By instance and its profile: the requests and the rows in each bin that it had counted in the last round in which
    both versions were read."""
    total: Counted | None = None
    """What was added up over all rounds."""

    def increase(self, counted: Mapping[str, Counted]) -> Counted | None:
        """What was counted after the round before, by the instances that were read then too; None if none was.

        Raises ValueError if the instances have different profiles.
        """
        now = {(name, one.profile): _numbers(one) for name, one in counted.items()}
        last, self.last = self.last, now
        grown = [now[key] - last[key] for key in sorted(now.keys() & last.keys())]
        grown = [one for one in grown if one.min() >= 0]  # others have begun again
        whole = added(list(counted.values()))
        return _with_numbers(whole, np.sum(grown, axis=0)) if grown else None

    def add(self, more: Counted) -> Counted:
        """The new total. Raises ValueError if it has other bins."""
        self.total = more if self.total is None else added([self.total, more])
        return self.total


def only_inputs(counted: Counted) -> Counted:
    """Without answers and vectors."""
    features = tuple(one for one in counted.features if one.feature not in ANSWERS)
    return replace(counted, features=features, vectors=())


def _numbers(counted: Counted) -> Floats:
    """The requests, and the rows in each bin."""
    return np.concatenate([[float(counted.requests.get("", 0))], *(one.live for one in counted.features)])


def _with_numbers(counted: Counted, numbers: Floats) -> Counted:
    ends = np.cumsum([1, *(len(one.live) for one in counted.features)])
    live = np.split(numbers, ends)[1:]
    features = tuple(replace(one, live=rows) for one, rows in zip(counted.features, live, strict=False))
    return replace(counted, requests=dict.fromkeys(counted.requests, int(numbers[0])), features=features)
