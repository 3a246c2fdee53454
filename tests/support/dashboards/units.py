"""Writes numbers as Grafana does, in the units that the dashboards use, and finds round numbers for an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

_THOUSANDS = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))
_SECONDS = ((86400, " days"), (3600, " hours"), (60, " mins"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"))


_SCALES = {"bytes": _BYTES, "s": _SECONDS[:3]}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit. KeyError for a unit that no dashboard uses."""
    return _UNITS[unit](value, decimals)


def is_known(unit: str) -> bool:
    """Whether numbers can be written in this unit."""
    return unit in _UNITS


def ticks(low: float, high: float, count: int, unit: str) -> list[float]:
    """Round numbers from `low` to `high`, at most about `count`: round in KiB where that is the unit, and so on."""
    rough = (high - low) / count
    size = next((size for size, _ in _SCALES.get(unit, ()) if rough >= size), 1)
    rough /= size
    power = size * 10 ** math.floor(math.log10(rough))
    rough *= size
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        size = abs(value)
        decimals = 0 if value == round(value) or size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"
    return f"{value:.{decimals}f}"


def _scaled(value: float, decimals: int | None, steps: tuple[tuple[float, str], ...], rest: str) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return _number(value / size, decimals) + name
    return _number(value, decimals) + rest


_UNITS: Mapping[str, Callable[[float, int | None], str]] = {
    "short": lambda value, decimals: _scaled(value, decimals, _THOUSANDS, ""),
    "reqps": lambda value, decimals: _scaled(value, decimals, _THOUSANDS, "") + " req/s",
    "ops": lambda value, decimals: _scaled(value, decimals, _THOUSANDS, "") + " ops/s",
    "rowsps": lambda value, decimals: _scaled(value, decimals, _THOUSANDS, "") + " rows/s",
    "percentunit": lambda value, decimals: _number(100 * value, decimals) + "%",
    "percent": lambda value, decimals: _number(value, decimals) + "%",
    "s": lambda value, decimals: _scaled(value, decimals, _SECONDS, " s"),
    "ms": lambda value, decimals: _scaled(value / 1000, decimals, _SECONDS, " ms"),
    "bytes": lambda value, decimals: _scaled(value, decimals, _BYTES, " B"),
    "watt": lambda value, decimals: _number(value, decimals) + " W",
    "celsius": lambda value, decimals: _number(value, decimals) + " °C",
    "currencyUSD": lambda value, decimals: "$" + _number(value, decimals),
    "cps": lambda value, decimals: _scaled(value, decimals, _THOUSANDS, "") + " c/s",
    "none": lambda value, decimals: _number(value, decimals),
}
