"""Kubernetes quantities, "500m" or "16Gi", as exact numbers."""

from __future__ import annotations

from decimal import Decimal

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(text: object) -> Decimal:
    """The number in base units: cores, bytes, devices. It must be a valid quantity, which the API server ensures."""
    written = str(text)
    number = written.rstrip("numkMGTPEi")
    unit = written[len(number) :]
    if unit in _BINARY:
        return Decimal(number) * Decimal(1024) ** _BINARY[unit]
    return Decimal(number).scaleb(_DECIMAL[unit])


def shown(resource: str, amount: Decimal) -> str:
    """An amount of a resource for people: "2 nvidia.com/gpu", "16 Gi of memory", "500m cpu"."""
    if resource in ("memory", "ephemeral-storage"):
        return f"{_in_binary(amount)} of {resource}"
    if amount != amount.to_integral_value():
        return f"{int(amount * 1000)}m {resource}"
    return f"{int(amount)} {resource}"


def _in_binary(amount: Decimal) -> str:
    for unit in ("Gi", "Mi", "Ki"):
        size = 1024 ** _BINARY[unit]
        if amount >= size:
            return f"{round(amount / size, 1).normalize():f}{unit}"
    return f"{int(amount)} bytes"
