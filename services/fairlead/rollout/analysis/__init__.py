"""From the gateways' raw counters to counted windows. `counts` is pure; `envoy_stats` is the one file that fetches.

Counts, never rates; and what could not be counted is a gap with a reason, never a zero.
"""
