"""Builds Envoy resources as canonical proto JSON, one module per resource. Pure: no I/O."""
