"""Runs a model in a process of its own: the service keeps answering its probes, whatever the model does."""
