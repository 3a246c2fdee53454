"""Simulated rows of a model without drift, and the rules that look for drift in them."""
