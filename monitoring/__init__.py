"""Rules, alerts and dashboards for Prometheus and Grafana, generated from the telemetry contract.

`python -m monitoring` writes `rules/`, `dashboards/` and docs/telemetry.md; `--check` only compares. `promql.py` is the
only place that writes a metric's name into a query, and it refuses names, labels and values that are not declared.
Nothing here runs in a platform: Fairlead itself needs no Prometheus.
"""
