"""Envoy's resources as canonical proto JSON, one file per resource. Pure: plain values in, plain values out."""
