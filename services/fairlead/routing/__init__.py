"""Routing: tables in, Envoy configuration out; then published so that no request meets a half-made change.

`compile`, `check`, `explain` and `envoy` are pure. I/O lives in `publish` alone.
"""
