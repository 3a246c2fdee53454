"""A table says which versions are cold, and never one that a rollout needs."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.contracts.route import VersionSpec
from fairlead.contracts.table import Table

STABLE, CANDIDATE, OTHER = (VersionSpec().ref(name) for name in ("1.0.0", "1.1.0", "1.2.0"))


def a_table(**more: Any) -> Table:
    return Table(model="iris", stable=STABLE, pins=(STABLE, CANDIDATE), **more)


@pytest.mark.parametrize("cold", [STABLE, CANDIDATE], ids=str)
def test_neither_version_is_cold_while_the_candidate_has_weight(cold: Any) -> None:
    assert a_table(candidate=CANDIDATE, cold=(cold,)).cold == (cold,)
    with pytest.raises(ValueError, match="neither stable nor the candidate may be cold"):
        a_table(candidate=CANDIDATE, weight=1, cold=(cold,))


def test_only_a_version_that_can_be_asked_for_is_cold() -> None:
    with pytest.raises(ValueError, match="a cold version must be among the pins"):
        a_table(cold=(OTHER,))
