"""Answers typed rows with a model: contract, queue, batches, worker threads.

Knows no HTTP: no status, header or path.
"""
