"""From the gateways' raw counters to counted windows, and from windows to evidence.

Counting and the mathematics are pure (`counts`, `custom_counts`, `bets`, `comparison`, `decaying_rate`,
`overdispersion`, `window_bets`, `multiple_comparisons`, `one_sample`, `stored_comparison`, `pairs`). Only
`envoy_stats`, `fleet_stats`, `prometheus_api` and `prometheus_stats` do I/O. Counts, never rates. If something cannot
be counted, the window is a gap with a reason, never a zero.
"""
