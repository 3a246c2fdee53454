"""The gateway's latency bucket boundaries, and the check that a configured boundary is one of them."""

from __future__ import annotations

from bisect import bisect_left

from fairlead.errors import Invalid

GRID_MS = (
    *(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048),
    *(3072, 4096, 6144, 8192, 16384, 32768),
)
"""Upper bounds of the gateway's latency buckets in ms. They are fixed when a gateway starts; 1 ms is the finest."""


def check_boundary(milliseconds: float) -> int:
    """The boundary as an int if it is on the grid; raises Invalid, naming the nearest one, if it is not."""
    if milliseconds in GRID_MS:
        return int(milliseconds)
    at = bisect_left(GRID_MS, milliseconds)
    nearest = min(GRID_MS[max(0, at - 1) : at + 1], key=lambda bound: abs(bound - milliseconds))
    raise Invalid(f"the gateway does not count latency at {milliseconds:g} ms; the nearest boundary is {nearest} ms")
