"""Metrics and answer records of the model service. Gets values and names, never HTTP requests or the model."""
