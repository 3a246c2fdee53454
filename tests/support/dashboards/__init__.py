"""Draws a dashboard as SVG, from the JSON that Grafana imports and the answers of a Prometheus to its queries.

It draws what the dashboards of `monitoring` use, as Grafana draws it: places, titles, units, legends, thresholds, value
mappings, transformations. `answers` asks, `board` draws.
"""
