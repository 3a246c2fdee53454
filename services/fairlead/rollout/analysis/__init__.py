"""From the gateways' raw counters to counted windows, and from windows to evidence.

`counts` and the mathematics (`bets`, `clumps`, `memory`, `comparison`, `several`, `limit`) are pure; `envoy_stats` is
the one file that fetches. Counts, never rates; and what could not be counted is a gap with a reason, never a zero.
"""
