"""Routing: tables in, Envoy configuration out; then published so that no request meets a half-made change.

Read in this order: `compile` (a snapshot of everything), `rules` (what a request meets), `envoy` (one builder per
resource), `check`, `explain`, `publish`. All but `publish` is pure: no I/O, no clock.
"""
