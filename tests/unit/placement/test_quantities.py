"""Kubernetes quantities."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.placement.quantities import quantity, shown


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        (1, "1"),
        ("1.5Gi", "1610612736"),
        ("128k", "128000"),
        ("3E", "3e18"),
        ("1e3", "1000"),
    ],
)
def test_a_quantity_is_a_number_in_base_units(written: object, amount: str) -> None:
    assert quantity(written) == Decimal(amount)


@pytest.mark.parametrize(
    ("resource", "written", "text"),
    [
        ("nvidia.com/gpu", "2", "2 nvidia.com/gpu"),
        ("cpu", "1500m", "1500m cpu"),
        ("memory", "1536Mi", "1.5Gi of memory"),
        ("memory", "20Gi", "20Gi of memory"),
        ("memory", "10", "10 bytes of memory"),
    ],
)
def test_an_amount_is_shown_with_its_resource(resource: str, written: str, text: str) -> None:
    assert shown(resource, quantity(written)) == text
