"""How Grafana's units write a number, as far as the dashboards use them."""

from __future__ import annotations

import math

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_SHORT = ("", " K", " Mil", " Bil")


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A number with its unit. Raises KeyError for a unit that no dashboard uses."""
    if not math.isfinite(value):
        return "-"
    if unit == "bytes":
        return _scaled(value, 1024, _BYTES, " ")
    if unit == "short":
        return _scaled(value, 1000, _SHORT, "") if decimals is None else f"{value:.{decimals}f}"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    number = f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}"
    return {
        "percentunit": f"{100 * value:.3g}%",
        "percent": f"{number}%",
        "reqps": f"{number} req/s",
        "ops": f"{number} ops/s",
        "watt": f"{number} W",
        "celsius": f"{number} °C",
        "currencyUSD": f"${number}",
        "ms": f"{number} ms",
    }[unit]


def _scaled(value: float, step: int, names: tuple[str, ...], space: str) -> str:
    power = min(len(names) - 1, int(math.log(abs(value), step))) if abs(value) >= 1 else 0
    return f"{value / step**power:.4g}{space}{names[power]}"
