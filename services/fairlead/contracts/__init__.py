"""Data models that the processes share: manifest, route, table, revision, action and others.

pydantic only. No clock: the code that creates a revision passes the time. Only `manifest_file` and `requirements` do
I/O: each reads one file of a model folder.
"""
