"""Routing: compiles route tables to Envoy configuration, and publishes it so that no request meets a partial change.

Read in this order: `compile` (a snapshot of everything), `rules` (how a request is matched), `envoy` (one builder per
resource), `check`, `explain`, `publish`. All but `publish` is pure: no I/O, no clock.
"""
